//! Logging that vanishes without the feature `defmt`.

/// `defmt::info!`, or nothing.
macro_rules! info {
    ($format:literal $(, $argument:expr)* $(,)?) => {{
        #[cfg(feature = "defmt")]
        defmt::info!($format $(, $argument)*);
        #[cfg(not(feature = "defmt"))]
        let _ = ($(&$argument,)*);
    }};
}
