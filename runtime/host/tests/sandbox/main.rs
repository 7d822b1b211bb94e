//! The sandbox from outside: hostile guests end as the right failure, and nobody else notices.

mod adapters;
mod cache;
mod hostile;
mod jq;
mod kept;
mod outbound;
mod secrets;
mod table;
mod uploads;
mod world;
