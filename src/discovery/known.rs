//! What is known of DNS, and when each question is asked again.
//!
//! An answer holds for its TTL, within bounds. "There is none" is an answer too, and ends what was known. That no
//! name server can tell (SERVFAIL, silence) is none: what was known stays, beside the fault.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use tokio::time::Instant;

use crate::dns::DnsFault;
use crate::dns::records::{Question, Reply};

/// A question is asked no more often than this, however short the TTL.
pub const LEAST_TTL: Duration = Duration::from_secs(5);

/// And no less often than this, however long.
pub const MOST_TTL: Duration = Duration::from_secs(3600);

/// How soon a name that is not there is asked for again, as it may come.
const NEGATIVE_TTL: Duration = Duration::from_secs(60);

/// How soon a question that failed is asked again: doubled each time, up to [`NEGATIVE_TTL`].
const FIRST_RETRY: Duration = Duration::from_secs(5);

/// What was last learned of one question.
#[derive(Clone, Debug, Default)]
pub struct Fact {
    /// The last good answer, unless the name has lost its records since. `None` also before the first.
    pub reply: Option<Reply>,
    /// Why the last question brought nothing; `None` when it did.
    pub fault: Option<DnsFault>,
}

struct Entry {
    fact: Fact,
    /// How often in a row no answer came.
    failures: u32,
    due: Instant,
}

/// Everything known.
#[derive(Default)]
pub struct Known(HashMap<Question, Entry>);

impl Known {
    /// What is known of a question; `None` before its first answer.
    pub fn get(&self, question: &Question) -> Option<&Fact> {
        let fact = &self.0.get(question)?.fact;
        (fact.reply.is_some() || fact.fault.is_some()).then_some(fact)
    }

    /// From now on these questions are asked and no others.
    pub fn want(&mut self, questions: &BTreeSet<Question>, now: Instant) {
        self.0.retain(|question, _| questions.contains(question));
        for question in questions {
            let new = || Entry { fact: Fact::default(), failures: 0, due: now };
            self.0.entry(question.clone()).or_insert_with(new);
        }
    }

    /// Takes in an answer, and says whether it changes anything. An answer that nobody wants any more does not.
    pub fn learn(&mut self, question: &Question, answer: Result<Reply, DnsFault>, now: Instant) -> bool {
        let Some(entry) = self.0.get_mut(question) else { return false };
        let old = entry.fact.clone();
        let wait = match answer {
            Ok(reply) => {
                entry.failures = 0;
                let ttl = reply.ttl;
                entry.fact = Fact { reply: Some(reply), fault: None };
                ttl.clamp(LEAST_TTL, MOST_TTL)
            }
            Err(fault @ (DnsFault::Failed(_) | DnsFault::Local(_))) => {
                let wait = FIRST_RETRY.saturating_mul(1 << entry.failures.min(4)).min(NEGATIVE_TTL);
                entry.failures = entry.failures.saturating_add(1);
                entry.fact.fault = Some(fault);
                wait
            }
            Err(none) => {
                entry.failures = 0;
                entry.fact = Fact { reply: None, fault: Some(none) };
                NEGATIVE_TTL
            }
        };
        entry.due = now.checked_add(wait).unwrap_or(now);
        differs(&old, &entry.fact)
    }

    /// Whether something is to be asked now.
    pub fn is_due(&self, now: Instant) -> bool {
        self.next_due().is_some_and(|due| due <= now)
    }

    /// When the next question is to be asked.
    pub fn next_due(&self) -> Option<Instant> {
        self.0.values().map(|entry| entry.due).min()
    }

    /// Takes up to `most` questions that are due; unless an answer is learned, they are due again at `again`.
    pub fn take_due(&mut self, now: Instant, again: Instant, most: usize) -> Vec<Question> {
        let due = self.0.iter_mut().filter(|(_, entry)| entry.due <= now).take(most);
        due.map(|(question, entry)| {
            entry.due = again;
            question.clone()
        })
        .collect()
    }
}

/// Whether two facts make different endpoints: the TTL does not.
fn differs(old: &Fact, new: &Fact) -> bool {
    let view = |fact: &Fact| fact.reply.as_ref().map(|reply| (reply.records.clone(), reply.alias));
    old.fault != new.fault || view(old) != view(new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::records::Records;

    fn question() -> Question {
        Question::Ipv4("mx.example".into())
    }

    fn reply(address: &str, seconds: u64) -> Result<Reply, DnsFault> {
        let records = Records::Addresses(vec![address.parse().unwrap()]);
        Ok(Reply { records, alias: false, authentic: false, ttl: Duration::from_secs(seconds) })
    }

    struct Rig(Known, Instant);

    impl Rig {
        #[expect(clippy::disallowed_methods, reason = "a test needs some instant")]
        fn new() -> Self {
            let (mut known, now) = (Known::default(), Instant::now());
            known.want(&BTreeSet::from([question()]), now);
            Self(known, now)
        }

        /// Whether it changes anything, and in how many seconds the question is asked again.
        fn learn(&mut self, answer: Result<Reply, DnsFault>) -> (bool, u64) {
            let changed = self.0.learn(&question(), answer, self.1);
            (changed, (self.0.next_due().unwrap() - self.1).as_secs())
        }
    }

    #[test]
    fn answers_hold_for_their_ttl_within_bounds() {
        let mut rig = Rig::new();
        assert!(rig.0.is_due(rig.1) && rig.0.get(&question()).is_none());
        assert_eq!(rig.learn(reply("192.0.2.1", 300)), (true, 300));
        assert_eq!(rig.learn(reply("192.0.2.1", 0)), (false, 5), "another TTL is no change");
        assert_eq!(rig.learn(reply("192.0.2.2", 999_999)), (true, 3600));
    }

    #[test]
    fn a_failure_keeps_what_was_known_and_is_tried_again_ever_more_slowly() {
        let mut rig = Rig::new();
        rig.learn(reply("192.0.2.1", 300));
        let failed = || Err(DnsFault::Failed("silence".into()));
        assert_eq!(rig.learn(failed()), (true, 5));
        let waits: Vec<u64> = (0..6).map(|_| rig.learn(failed()).1).collect();
        assert_eq!(waits, [10, 20, 40, 60, 60, 60]);
        let fact = rig.0.get(&question()).unwrap();
        assert!(fact.reply.is_some() && fact.fault.is_some());
        assert_eq!(rig.learn(reply("192.0.2.1", 300)), (true, 300), "the fault is gone");
        assert_eq!(rig.learn(failed()).1, 5, "and counts anew");
    }

    #[test]
    fn that_there_is_none_is_an_answer() {
        for none in [DnsFault::NotFound, DnsFault::NoAddress] {
            let mut rig = Rig::new();
            rig.learn(reply("192.0.2.1", 300));
            assert_eq!(rig.learn(Err(none.clone())), (true, 60));
            let fact = rig.0.get(&question()).unwrap();
            assert!(fact.reply.is_none() && fact.fault == Some(none));
        }
    }

    #[test]
    fn what_is_being_asked_is_not_asked_again_and_what_nobody_wants_is_forgotten() {
        let mut rig = Rig::new();
        let again = rig.1 + PATIENT;
        assert_eq!(rig.0.take_due(rig.1, again, 10), [question()]);
        assert!(rig.0.take_due(rig.1, again, 10).is_empty());
        rig.0.want(&BTreeSet::new(), rig.1);
        assert!(!rig.0.learn(&question(), reply("192.0.2.1", 1), rig.1));
        assert_eq!(rig.0.next_due(), None);
    }

    const PATIENT: Duration = Duration::from_secs(40);
}
