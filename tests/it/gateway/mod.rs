//! Callers get their answers over HTTP, on a real broker with real workers.

mod answers;
mod faults;
mod kept;
mod letters;
mod limits;
mod page;
mod replies;
mod together;
mod traces;
