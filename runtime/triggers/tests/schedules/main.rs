//! Schedules over a clock that moves when a test says so: what fires, what was missed, what waits, and what a crash leaves.

mod connections;
mod crashes;
mod missed;
mod overlap;
mod plain;
mod world;
