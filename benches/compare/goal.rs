//! What was aimed at, and whether it is met.

/// Says so in a line; at most so much is wanted.
pub(crate) fn goal(what: &str, found: f64, most: f64, unit: &str) {
    let verdict = if found <= most { "met" } else { "NOT MET" };
    println!("- {what}: {found:.2} {unit}, at most {most} wanted: {verdict}");
}

/// The same where more is better.
pub(crate) fn goal_at_least(what: &str, found: f64, least: f64, unit: &str) {
    let verdict = if found >= least { "met" } else { "NOT MET" };
    println!("- {what}: {found:.2} {unit}, at least {least} wanted: {verdict}");
}
