//! What was aimed at, and whether it is met.

/// Says so in a line; at most so much is wanted.
pub(crate) fn goal(what: &str, found: f64, most: f64, unit: &str) {
    let verdict = if found <= most { "met" } else { "NOT MET" };
    println!("- {what}: {found:.2} {unit}, at most {most} wanted: {verdict}");
}
