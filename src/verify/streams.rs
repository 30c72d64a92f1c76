//! What a server says of its own accord: on a subscription, on the stream of the legacy era, or on the pipe.

use std::collections::VecDeque;
use std::time::Duration;

use serde_json::Value;

use super::run::{Run, unreachable};
use crate::clock;
use crate::error::Result;
use crate::peer::Listening;
use crate::protocol::transcript::turns::{Said, Turn, method_of};

/// The longest to wait for what the recorded server told, where no shorter time is given for all answers.
const PATIENCE: Duration = Duration::from_secs(5);
/// The most messages that are kept for a turn that may wait for them.
const MAX_UNASKED: usize = 1_000;

/// An open stream.
pub(super) struct Open {
    /// The turn that opened it.
    turn: usize,
    pub(super) listening: Listening,
    /// What was recorded on it and did not come yet.
    pub(super) due: VecDeque<Said>,
    /// Something did not come in time: nothing more is waited for.
    silent: bool,
}

/// What the server said that no turn has waited for yet.
#[derive(Default)]
pub(super) struct Unasked {
    kept: VecDeque<Value>,
    /// How many more there were.
    over: usize,
}

impl Unasked {
    pub(super) fn keep(&mut self, message: Value) {
        match self.kept.len() < MAX_UNASKED {
            true => self.kept.push_back(message),
            false => self.over += 1,
        }
    }
}

impl Run<'_> {
    /// Opens the stream of turn `place`: by `message`, or by GET.
    pub(super) async fn subscribe(
        &mut self,
        place: usize,
        turn: &Turn,
        message: Option<&Value>,
    ) -> Result<()> {
        self.lay_answers_ready(place, turn);
        let listening = match self.peer.listen(message).await {
            Ok(listening) => listening,
            Err(error) if !self.has_spoken => return Err(unreachable(&error)),
            Err(_) if self.peer.is_stdio() => return self.died(turn).await,
            Err(error) => return self.broke_off(turn, &error),
        };
        let (recorded, now) = (turn.status(), listening.exchange().status);
        if let (Some(recorded), Some(now)) = (recorded, now)
            && recorded != now
        {
            self.differs(turn, None, "/http/status", Some(&recorded.into()), Some(&now.into()));
        }
        let due = turn.said.iter().filter(|said| said.message.is_object()).cloned().collect();
        self.open.push(Open { turn: place, listening, due, silent: false });
        Ok(())
    }

    /// Hears what stood in the recording before the turn after `place`.
    pub(super) async fn hear(&mut self, place: usize) {
        let mut open = std::mem::take(&mut self.open);
        for stream in &mut open {
            while let Some(said) =
                stream.due.pop_front_if(|said| said.after.is_none_or(|after| after <= place))
            {
                self.hear_one(stream, &said).await;
            }
        }
        self.open = open;
    }

    async fn hear_one(&mut self, stream: &mut Open, said: &Said) {
        let Some(turn) = self.turns.get(stream.turn) else { return };
        let wanted = |message: &Value| method_of(message) == method_of(&said.message);
        let kept = &mut self.unasked.kept;
        let mut found = kept.iter().position(wanted).and_then(|at| kept.remove(at));
        // One deadline: what others say in the meantime does not put it off.
        let deadline = clock::instant() + PATIENCE.min(self.dialler.options().patience);
        let mut broken = None;
        while found.is_none() && !stream.silent {
            let left = deadline.saturating_duration_since(clock::instant());
            let heard = match left.is_zero() {
                true => Ok(None),
                false => self.peer.hear(&mut stream.listening, left).await,
            };
            match heard {
                Ok(Some(message)) if wanted(&message) => found = Some(message),
                Ok(Some(message)) => self.unasked.keep(message),
                end => (stream.silent, broken) = (true, end.err().map(|error| error.public.into())),
            }
        }
        match found {
            Some(now) => self.compare_messages(turn, Some(&said.message), &said.message, &now),
            None => self.differs(turn, Some(&said.message), "", Some(&said.message), broken.as_ref()),
        }
    }

    /// What came and no turn waited for.
    pub(super) fn left_over(&mut self) {
        let Some(last) = self.turns.last() else { return };
        let Unasked { kept, over } = std::mem::take(&mut self.unasked);
        for now in kept {
            self.differs(last, Some(&now), "", None, Some(&now));
        }
        if over > 0 {
            let more = format!("{over} more messages that nobody waited for").into();
            self.differs(last, None, "", None, Some(&more));
        }
    }
}
