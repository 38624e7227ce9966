//! One change of primary at a time, whoever makes it.

use resp::Value;

use super::Ending;
use super::ask::Ask;
use super::machine::{Do, Outcome, State, Switchover, Taken, taken};
use crate::Time;

impl Switchover {
    /// Two who change the primary at once could promote one replica each. Whoever claims it first and counts afterwards
    /// sees the other: at the worst both give up.
    pub(super) fn claimed(&mut self, outcome: &Outcome, now: Time) -> Do {
        match taken(outcome.clone()) {
            Taken::Yes => self.go(State::CountsClaims, Ask::Claims),
            Taken::Unknown(why) => {
                let why = format!("{} {why}", self.cast.from.name);
                self.leave(Ending::Refused, why, now)
            }
            Taken::Denied(text) | Taken::Refused(text) => self.unclaimed(&text),
        }
    }

    pub(super) fn claims_counted(&mut self, outcome: &Outcome, now: Time) -> Do {
        if let Taken::Denied(text) | Taken::Refused(text) = taken(outcome.clone()) {
            return self.unclaimed(&text);
        }
        let claims = match outcome {
            Outcome::Answered(values) => match values.as_slice() {
                [Value::Array(counts)] => counts.last().and_then(Value::as_int),
                _ => None,
            },
            _ => None,
        };
        if claims == Some(1) {
            return self.go(State::AsksPrimary, Ask::State);
        }
        let name = &self.cast.from.name;
        let why = match claims {
            Some(_) => format!(
                "another Redkeel is changing the primary: {name} was told so; try again when that is over"
            ),
            None => format!("{name} does not say who else changes the primary"),
        };
        self.leave(Ending::Refused, why, now)
    }

    /// That nobody else changes the primary is for the operator to see to.
    fn unclaimed(&mut self, text: &str) -> Do {
        let name = &self.cast.from.name;
        self.note(format!(
            "whether another Redkeel changed the primary at the same time could not be seen: \
             {name} denies SUBSCRIBE or PUBSUB NUMSUB ({text})"
        ));
        self.go(State::AsksPrimary, Ask::State)
    }
}
