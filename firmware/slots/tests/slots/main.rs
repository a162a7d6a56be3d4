//! The store on a flash in RAM that holds it to the rules of flash.

mod flash;
mod line;
mod power_cuts;
mod store;
