//! Golden cases of rnn.

use anyhow::Result;
use teff_tools::ops::recurrent::Cell;

use super::{Case, lstm::recurrence};

pub(super) fn cases() -> Result<Vec<Case>> {
    let rnn = |relu| Cell::Rnn { relu };
    Ok(vec![
        recurrence("rnn", rnn(false), false, true, 6.0)?,
        recurrence("rnn_relu_reverse", rnn(true), true, false, 6.0)?,
    ])
}
