//! The faces of an outcome: metrics, JSON, text, the status page. Snapshot in, bytes out; nothing is decided here.

pub mod blackbox;
pub mod domains;
pub mod html;
pub mod json;
pub mod openmetrics;
pub mod prometheus;
pub mod text;
pub mod time;
mod wire;
