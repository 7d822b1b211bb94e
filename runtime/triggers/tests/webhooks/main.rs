//! The trigger URLs, from request to answer, with everything behind the seams replaced by fakes.

mod world;

mod answers;
mod events;
mod matching;
mod refusals;
mod replays;
