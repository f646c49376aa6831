//! A server that takes `connect` and refuses every publish, with whatever words the test wants.

use regia::rtmp::{Receiver, ReceiverEvent, ReceiverSettings};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// The code and the description of onStatus, from the key that came.
type Words = fn(key: &str) -> (&'static str, String);

pub struct Rejecting {
    pub addr: SocketAddr,
    refused: Arc<AtomicUsize>,
}

impl Rejecting {
    /// Serves until the test process ends.
    pub fn start(words: Words) -> Self {
        let listener = TcpListener::bind(regia_testkit::ports::loopback()).unwrap();
        let refused = Arc::new(AtomicUsize::new(0));
        let server = Rejecting {
            addr: listener.local_addr().unwrap(),
            refused: Arc::clone(&refused),
        };
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let refused = Arc::clone(&refused);
                // A client that breaks off is what these tests are about.
                std::thread::spawn(move || serve(stream, words, &refused));
            }
        });
        server
    }

    /// Publishes refused so far.
    pub fn refused(&self) -> usize {
        self.refused.load(Ordering::SeqCst)
    }
}

fn serve(mut stream: TcpStream, words: Words, refused: &AtomicUsize) -> std::io::Result<()> {
    let mut receiver = Receiver::new(ReceiverSettings::default());
    let mut buffer = [0; 16 * 1024];
    loop {
        let n = stream.read(&mut buffer)?;
        if n == 0 {
            return Ok(());
        }
        if receiver.handle_input(&buffer[..n]).is_err() {
            return Ok(());
        }
        let mut over = false;
        while let Some(event) = receiver.poll_event() {
            if let ReceiverEvent::PublishRequested { key, .. } = event {
                let (code, description) = words(key.expose());
                receiver.reject_publish(code, &description);
                refused.fetch_add(1, Ordering::SeqCst);
                over = true;
            }
        }
        stream.write_all(&receiver.take_output())?;
        if over {
            // Closed at once, what is still unread would be answered with a reset that overtakes the words.
            stream.set_read_timeout(Some(Duration::from_secs(5)))?;
            stream.shutdown(std::net::Shutdown::Write)?;
            while stream.read(&mut buffer)? > 0 {}
            return Ok(());
        }
    }
}
