//! The writer: what the encoder makes goes over the socket in order, behind the configuration that a decoder
//! needs first. One thread owns the socket's writing side.

pub mod interleave;

use crate::bridge::codec::{Message, ProtocolError};
use crate::bridge::mix::Thumbnail;
use crate::bridge::protocol::{EngineEvent, Up, VERSION};
use crate::media::{AudioConfig, Clip, MediaUnit, StreamConfig, VideoConfig};
use bytes::Bytes;
use interleave::Interleave;
use std::io::{self, IoSlice, Write};
use std::sync::mpsc::Receiver;

#[derive(Debug)]
pub enum Out {
    Event(EngineEvent),
    /// AVCDecoderConfigurationRecord.
    VideoHeader(Bytes),
    /// AudioSpecificConfig.
    AudioHeader(Bytes),
    Unit(MediaUnit),
    Slate(Clip),
    Thumbnail(Thumbnail),
    /// The last one: everything before it is written when the writer ends.
    End,
}

/// The parts of the stream's configuration that are settled before the encoders run; the headers are filled in
/// as they come.
pub struct Writer<W> {
    socket: W,
    config: StreamConfig,
    sent: Option<StreamConfig>,
    interleave: Interleave,
    /// Units that came before both headers.
    early: Vec<MediaUnit>,
}

#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    #[error("the director's socket failed: {0}")]
    Socket(#[from] io::Error),
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
}

impl<W: Write> Writer<W> {
    /// Says hello at once.
    pub fn new(socket: W, video: VideoConfig, audio: AudioConfig) -> Result<Self, WriteError> {
        let mut writer = Writer {
            socket,
            config: StreamConfig { video, audio },
            sent: None,
            interleave: Interleave::default(),
            early: Vec::new(),
        };
        writer.write(&Up::Hello { version: VERSION })?;
        Ok(writer)
    }

    /// Runs until `Out::End`, until every sender is gone, or until the director is.
    pub fn run(mut self, outs: &Receiver<Out>) -> Result<(), WriteError> {
        while let Ok(out) = outs.recv() {
            match out {
                Out::Event(event) => self.write(&Up::Event(event))?,
                Out::Slate(clip) => self.write(&Up::Slate(clip))?,
                Out::Thumbnail(thumbnail) => self.write(&Up::Thumbnail(thumbnail))?,
                Out::VideoHeader(avcc) => {
                    self.config.video.avcc = avcc;
                    self.configure()?;
                }
                Out::AudioHeader(asc) => {
                    self.config.audio.asc = asc;
                    self.configure()?;
                }
                Out::Unit(unit) if self.sent.is_none() => self.early.push(unit),
                Out::Unit(unit) => self.pass(unit)?,
                Out::End => break,
            }
        }
        let mut rest = Vec::new();
        self.interleave.finish(|unit| rest.push(unit));
        rest.into_iter()
            .try_for_each(|unit| self.write(&Up::Unit(unit)))
    }

    fn configure(&mut self) -> Result<(), WriteError> {
        let complete = !self.config.video.avcc.is_empty() && !self.config.audio.asc.is_empty();
        if complete && self.sent.as_ref() != Some(&self.config) {
            self.write(&Up::Config(self.config.clone()))?;
            self.sent = Some(self.config.clone());
            for unit in std::mem::take(&mut self.early) {
                self.pass(unit)?;
            }
        }
        Ok(())
    }

    fn pass(&mut self, unit: MediaUnit) -> Result<(), WriteError> {
        let mut leaving = Vec::with_capacity(2);
        self.interleave.handle(unit, |unit| leaving.push(unit));
        leaving
            .into_iter()
            .try_for_each(|unit| self.write(&Up::Unit(unit)))
    }

    fn write(&mut self, up: &Up) -> Result<(), WriteError> {
        let frame = up.encode()?;
        let mut slices = [IoSlice::new(frame.head()), IoSlice::new(frame.payload())];
        let mut rest = slices.as_mut_slice();
        // A slice without bytes would make a write of nothing look like the end of the socket.
        IoSlice::advance_slices(&mut rest, 0);
        while !rest.is_empty() {
            match self.socket.write_vectored(rest) {
                Ok(0) => return Err(io::Error::from(io::ErrorKind::WriteZero).into()),
                Ok(written) => IoSlice::advance_slices(&mut rest, written),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bridge::codec::Decoder;
    use crate::media::{FrameRate, MediaTime, Track};
    use std::sync::mpsc::channel;

    fn writer<W: Write>(socket: W) -> Writer<W> {
        let video = VideoConfig {
            avcc: Bytes::new(),
            width: 1280,
            height: 720,
            fps: FrameRate { num: 30, den: 1 },
            bitrate_kbps: 3_000,
        };
        let audio = AudioConfig {
            asc: Bytes::new(),
            sample_rate: 48_000,
            channels: 2,
            bitrate_kbps: 128,
        };
        Writer::new(socket, video, audio).unwrap()
    }

    fn unit(track: Track, us: i64) -> Out {
        Out::Unit(MediaUnit {
            track,
            dts: MediaTime(us),
            pts: MediaTime(us),
            keyframe: track == Track::Video,
            data: Bytes::from(vec![1; 300]),
        })
    }

    /// Takes a few bytes at a time, as a full socket does.
    struct Narrow(Vec<u8>);

    impl Write for Narrow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let taken = bytes.len().min(11);
            self.0.extend_from_slice(&bytes[..taken]);
            Ok(taken)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn the_configuration_comes_before_the_units() {
        let (tx, rx) = channel();
        for out in [
            unit(Track::Audio, 0),
            Out::AudioHeader(Bytes::from_static(&[0x11, 0x90])),
            unit(Track::Video, 0),
            Out::VideoHeader(Bytes::from_static(&[1])),
            Out::VideoHeader(Bytes::from_static(&[1])),
            Out::End,
        ] {
            tx.send(out).unwrap();
        }
        let mut wire = Narrow(Vec::new());
        writer(&mut wire).run(&rx).unwrap();
        let mut decoder = Decoder::<Up>::new();
        decoder.push(&wire.0);
        let mut kinds = Vec::new();
        while let Some(up) = decoder.next_message().unwrap() {
            kinds.push(match up {
                Up::Hello { .. } => "hello",
                Up::Config(_) => "config",
                Up::Unit(u) if u.track == Track::Video => "video",
                Up::Unit(_) => "audio",
                Up::Event(_) => "event",
                Up::Slate(_) => "slate",
                Up::Thumbnail(_) => "thumbnail",
            });
        }
        assert_eq!(kinds, ["hello", "config", "video", "audio"]);
    }
}
