//! Axes of any tensor resampled by constant weights.

use anyhow::Result;

use super::typed::Importer;
use crate::ir::ValueId;
use crate::ops::resample2d::{Resample2d, Taps};

impl Importer<'_> {
    /// `x` with axis i resampled by `taps[i]`; images (N, C, H, W) in one step over height and width.
    pub(super) fn resample(&mut self, name: &str, x: ValueId, taps: Vec<Option<Taps>>) -> Result<ValueId> {
        let dims = self.dims(x);
        let needed = |axis: usize| taps[axis].as_ref().filter(|t| !t.is_identity(dims[axis]));
        let axes: Vec<usize> = (0..dims.len()).filter(|&axis| needed(axis).is_some()).collect();
        let rank = dims.len();
        if (3..=4).contains(&rank) && !axes.is_empty() && axes.iter().all(|&a| a >= 2) {
            let h = if rank == 4 { dims[2] } else { 1 };
            let along = |axis: usize, len: usize| needed(axis).cloned().unwrap_or_else(|| Taps::identity(len));
            let rows = if rank == 4 { along(2, h) } else { Taps::identity(1) };
            let columns = along(rank - 1, dims[rank - 1]);
            let mut shape = dims.clone();
            if rank == 4 {
                shape[2] = rows.outputs();
            }
            shape[rank - 1] = columns.outputs();
            let x = self.reshape(&format!("{name}.to_nchw"), x, &[dims[0], dims[1], h, dims[rank - 1]])?;
            let x = self.transpose(&format!("{name}.to_nhwc"), x, &[0, 2, 3, 1])?;
            let y = self.push(name, Resample2d { rows, columns }, &[x])?;
            let y = self.transpose(&format!("{name}.from_nhwc"), y, &[0, 3, 1, 2])?;
            return self.reshape(&format!("{name}.from_image"), y, &shape);
        }
        let mut y = x;
        for axis in axes {
            let Some(rows) = needed(axis).cloned() else { continue };
            let mut shape = self.dims(y);
            let (outer, inner) = (shape[..axis].iter().product(), shape[axis + 1..].iter().product());
            let columns = Taps::identity(1);
            let image = self.reshape(&format!("{name}.axis{axis}"), y, &[outer, shape[axis], 1, inner])?;
            shape[axis] = rows.outputs();
            let resampled = self.push(name, Resample2d { rows, columns }, &[image])?;
            y = self.reshape(&format!("{name}.shape{axis}"), resampled, &shape)?;
        }
        Ok(y)
    }
}
