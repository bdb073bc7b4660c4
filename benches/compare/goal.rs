//! What was aimed at, and whether it is met.

/// Says so in a line; at most so much is wanted.
pub(crate) fn goal(what: &str, found: f64, most: f64, unit: &str) {
    say(what, found, unit, &format!("at most {most}"), found <= most);
}

/// The same where more is better.
pub(crate) fn goal_at_least(what: &str, found: f64, least: f64, unit: &str) {
    say(what, found, unit, &format!("at least {least}"), found >= least);
}

fn say(what: &str, found: f64, unit: &str, wanted: &str, is_met: bool) {
    let verdict = if is_met { "met" } else { "NOT MET" };
    println!("- {what}: {found:.2} {unit}, {wanted} wanted: {verdict}");
}
