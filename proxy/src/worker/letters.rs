//! What a worker and the other threads tell each other.

use engine::Action;
use topology::{Handshake, Mail, PeerMail};

use super::Turner;
use crate::mailbox::Letter;
use crate::socket::Socket;

impl Turner {
    /// Letters leave before replies: what a client does next finds the other workers informed.
    pub(super) fn tell_peers(&self) {
        for action in &self.actions {
            if let Action::Tell { worker, mail } = action {
                self.tell(*worker, mail);
            }
        }
    }

    /// Writes to another worker, or to all others.
    fn tell(&self, worker: Option<usize>, mail: &PeerMail) {
        for (index, peer) in self.peers.iter().enumerate() {
            let addressed = worker.is_none_or(|worker| worker == index);
            if addressed && index != self.worker.settings.worker {
                peer.post(Letter::Mail(Mail::Peer(mail.clone())));
            }
        }
    }

    pub(super) fn read_mail(&mut self) {
        let mut letters = std::mem::take(&mut self.letters);
        self.worker.mailbox.empty(&mut letters);
        for letter in letters.drain(..) {
            match letter {
                Letter::Accept(stream, session, origin, caller) => {
                    let conn = self.engine.accept(origin.pool, origin.mode, caller);
                    if let Some(session) = &session {
                        let handshake = session.handshake();
                        self.engine.count_client_handshake(origin.pool, handshake);
                    }
                    self.insert(Socket::new(conn, stream, session, Some(origin.pool)));
                }
                Letter::Refused(pool, why) => self.engine.count_refused_client(pool, why),
                Letter::NotShaken(pool) => {
                    self.engine.count_client_handshake(pool, Handshake::Failed);
                }
                Letter::Routes(pools) => self.engine.reroute(&pools),
                Letter::Connected(conn, pool, result) => self.connected(conn, pool, result),
                // The asker may have given up waiting.
                Letter::Mail(Mail::Counts(reply)) => {
                    let _ = reply.send(self.engine.counts());
                }
                Letter::Mail(Mail::Peer(mail)) => self.engine.mail(mail),
                Letter::Mail(Mail::Drain) => self.engine.drain(),
                Letter::Mail(Mail::Stop) => self.stop = true,
            }
        }
        self.letters = letters;
    }
}
