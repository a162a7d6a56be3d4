//! The integers of quantized models.

use ndarray::{ArrayD, Zip};

/// The integers behind a constant of a quantized model, which the device gets as they are.
///
/// `real = step · q`, element by element; zero points are taken off `q`.
#[derive(Debug, Clone, PartialEq)]
pub struct Integers {
    /// The integers: within [−255, 255] for stored bytes, any for biases.
    pub q: ArrayD<i32>,
    /// Positive, of the shape of `q`.
    pub step: ArrayD<f32>,
}

impl Integers {
    /// The real numbers: the product in `f64`, rounded to `f32`.
    pub fn reals(&self) -> ArrayD<f32> {
        Zip::from(&self.q).and(&self.step).map_collect(|&q, &step| (f64::from(q) * f64::from(step)) as f32)
    }

    /// The integers at the places `at`, counted in row-major order.
    pub fn at(&self, at: &ArrayD<usize>) -> Self {
        Self { q: gather(&self.q, at), step: gather(&self.step, at) }
    }

    /// The one step of all elements, if there is one.
    pub fn uniform_step(&self) -> Option<f32> {
        let first = *self.step.iter().next()?;
        self.step.iter().all(|&s| s == first).then_some(first)
    }

    /// Every element times the `factor` in the same place; `None` where a factor is 0 or no finite number.
    pub fn scaled(mut self, factor: &ArrayD<f32>) -> Option<Self> {
        let factor = factor.broadcast(self.q.raw_dim())?;
        if !factor.iter().all(|f| f.is_normal()) {
            return None;
        }
        Zip::from(&mut self.q).and(&factor).for_each(|q, &f| *q *= f.signum() as i32);
        Zip::from(&mut self.step).and(&factor).for_each(|step, &f| *step *= f.abs());
        Some(self)
    }
}

/// The elements of `of` at the places `at`, counted in row-major order.
pub(crate) fn gather<T: Copy>(of: &ArrayD<T>, at: &ArrayD<usize>) -> ArrayD<T> {
    let flat: Vec<T> = of.iter().copied().collect();
    at.mapv(|i| flat[i])
}

/// The places 0, 1, … in row-major order under `shape`.
pub(crate) fn places(shape: &[usize]) -> ArrayD<usize> {
    let mut places = ArrayD::zeros(shape);
    places.iter_mut().enumerate().for_each(|(i, place)| *place = i);
    places
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn integers_move_and_scale() {
        let integers =
            Integers { q: array![[1, -2], [3, 4]].into_dyn(), step: array![[0.5, 0.5], [2.0, 2.0]].into_dyn() };
        assert_eq!(integers.reals(), array![[0.5, -1.0], [6.0, 8.0]].into_dyn());
        let moved = integers.at(&places(&[2, 2]).reversed_axes());
        assert_eq!(moved.reals(), array![[0.5, 6.0], [-1.0, 8.0]].into_dyn());
        assert_eq!(integers.uniform_step(), None);
        let scaled = integers.clone().scaled(&array![[-2.0], [1.0]].into_dyn()).unwrap();
        assert_eq!(scaled.reals(), array![[-1.0, 2.0], [6.0, 8.0]].into_dyn());
        assert!(scaled.step.iter().all(|&s| s > 0.0));
        assert_eq!(integers.scaled(&array![[0.0]].into_dyn()), None);
    }
}
