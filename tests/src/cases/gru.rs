//! Golden cases of gru.

use anyhow::Result;
use teff_tools::ops::recurrent::Cell;

use super::{Case, lstm::recurrence};

pub(super) fn cases() -> Result<Vec<Case>> {
    let gru = |linear_before_reset| Cell::Gru { linear_before_reset };
    Ok(vec![
        recurrence("gru", gru(false), false, false, 6.0)?,
        recurrence("gru_linear_before_reset", gru(true), false, true, 6.0)?,
        recurrence("gru_reverse_from_a_state", gru(false), true, true, 6.0)?,
    ])
}
