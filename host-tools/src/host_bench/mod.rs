//! What a model costs on this computer: CPU time, on one thread, beside another program in the same run.
//!
//! Time is what the scheduler charges this thread, not what a clock on the wall shows: other work on the machine is not in
//! it, but shared caches and clock rates are, so that programs take turns and medians are compared. With several threads it is
//! the clock on the wall.

pub mod graph;
pub mod language;
pub mod plain;

use std::time::{Duration, Instant};

use cpu_time::ThreadTime;

/// CPU seconds of a thread that `work` takes.
pub fn seconds(work: impl FnOnce()) -> f64 {
    let start = ThreadTime::now();
    work();
    start.elapsed().max(Duration::from_nanos(1)).as_secs_f64()
}

/// Seconds on the wall that `work` takes.
pub fn seconds_on_the_wall(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().max(Duration::from_nanos(1)).as_secs_f64()
}

/// The middle of the numbers; of an even count the lower one. 0 of none.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len().saturating_sub(1) / 2).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_passes_and_medians_are_in_the_middle() {
        let sum = |n: u64| (0..n).fold(0, |sum: u64, i| std::hint::black_box(sum.wrapping_add(i)));
        let [short, long] = [1_000_000, 8_000_000].map(|n| {
            seconds(|| {
                std::hint::black_box(sum(n));
            })
        });
        assert!(short > 0.0 && long > 2.0 * short, "{short} {long}");
        assert_eq!((median(vec![3.0, 1.0, 2.0]), median(vec![4.0, 1.0, 2.0, 3.0]), median(vec![])), (2.0, 2.0, 0.0));
    }
}
