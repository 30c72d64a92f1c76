//! What a server says of its own accord: on a subscription, on the stream of the legacy era, or on the pipe.

use std::collections::VecDeque;
use std::time::Duration;

use serde_json::Value;

use super::run::{Run, unreachable};
use crate::error::Result;
use crate::peer::Listening;
use crate::protocol::transcript::turns::{Said, method_of};

/// How long to wait for what the recorded server told.
const PATIENCE: Duration = Duration::from_secs(5);

/// An open stream.
pub(super) struct Open {
    /// The turn that opened it.
    turn: usize,
    listening: Listening,
    /// What was recorded on it and did not come yet.
    due: VecDeque<Said>,
    /// Something did not come in time: nothing more is waited for.
    silent: bool,
}

impl Run<'_> {
    /// Opens the stream of turn `place`: by `message`, or by GET.
    pub(super) async fn subscribe(&mut self, place: usize, message: Option<&Value>) -> Result<()> {
        let Some(turn) = self.turns.get(place) else { return Ok(()) };
        let listening = self.peer.listen(message).await.map_err(|error| unreachable(&error))?;
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
    pub(super) async fn hear(&mut self, place: usize) -> Result<()> {
        let mut open = std::mem::take(&mut self.open);
        for stream in &mut open {
            while let Some(said) =
                stream.due.pop_front_if(|said| said.after.is_none_or(|after| after <= place))
            {
                self.hear_one(stream, &said).await?;
            }
        }
        self.open = open;
        Ok(())
    }

    async fn hear_one(&mut self, stream: &mut Open, said: &Said) -> Result<()> {
        let Some(turn) = self.turns.get(stream.turn) else { return Ok(()) };
        let wanted = |message: &Value| method_of(message) == method_of(&said.message);
        let mut found = self.unasked.iter().position(wanted).and_then(|at| self.unasked.remove(at));
        while found.is_none() && !stream.silent {
            match self.peer.hear(&mut stream.listening, PATIENCE).await? {
                Some(message) if wanted(&message) => found = Some(message),
                Some(message) => self.unasked.push_back(message),
                None => stream.silent = true,
            }
        }
        match found {
            Some(now) => self.compare_messages(turn, Some(&said.message), &said.message, &now),
            None => self.differs(turn, Some(&said.message), "", Some(&said.message), None),
        }
        Ok(())
    }

    /// What came and no turn waited for.
    pub(super) fn left_over(&mut self) {
        let Some(last) = self.turns.last() else { return };
        for now in std::mem::take(&mut self.unasked) {
            self.differs(last, Some(&now), "", None, Some(&now));
        }
    }
}
