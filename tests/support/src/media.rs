//! What a recording holds, as ffprobe and ffmpeg read it.

use crate::process::Launch;
use serde_json::Value;
use std::path::Path;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Track {
    Video,
    Audio,
}

/// One packet: an H.264 access unit or an AAC frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    pub track: Track,
    /// Microseconds on the file's timeline.
    pub pts_us: i64,
    pub dts_us: i64,
    pub keyframe: bool,
    /// Bytes of the payload.
    pub size: u64,
    /// MD5 of the payload as the file carries it, in hex.
    pub hash: String,
}

#[derive(Clone, Debug)]
pub struct Recording {
    pub packets: Vec<Packet>,
}

impl Recording {
    /// Reads all packets in the file's order. Panics when ffprobe does not take the file.
    #[track_caller]
    pub fn read(path: &Path) -> Self {
        let out = Launch::new("ffprobe")
            .args(["-v", "error", "-show_data_hash", "md5", "-of", "json"])
            .args([
                "-show_entries",
                "packet=codec_type,pts_time,dts_time,size,flags,data_hash",
            ])
            .arg(path)
            .output();
        let all: Value = serde_json::from_slice(&out).expect("ffprobe prints JSON");
        let packets = all["packets"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(parse_packet)
            .collect();
        Recording { packets }
    }

    pub fn track(&self, track: Track) -> impl Iterator<Item = &Packet> + Clone {
        self.packets.iter().filter(move |p| p.track == track)
    }

    /// How many frames each closed GOP has; the last, which the end may have cut, is left out.
    pub fn gop_frames(&self) -> Vec<usize> {
        let mut gops: Vec<usize> = Vec::new();
        for frame in self.track(Track::Video) {
            match gops.last_mut() {
                Some(open) if !frame.keyframe => *open += 1,
                _ => gops.push(1),
            }
        }
        gops.pop();
        gops
    }

    /// How often a decode time is before the one ahead of it in its track.
    pub fn backward_steps(&self, track: Track) -> usize {
        let times = self.track(track).map(|p| p.dts_us);
        times
            .clone()
            .zip(times.skip(1))
            .filter(|(earlier, later)| later < earlier)
            .count()
    }

    /// First audio presentation time less first video presentation time, in milliseconds. `None` when a track is empty.
    pub fn audio_start_offset_ms(&self) -> Option<f64> {
        let first = |track| self.track(track).map(|p| p.pts_us).min();
        Some((first(Track::Audio)? - first(Track::Video)?) as f64 / 1000.0)
    }

    /// The least and the greatest video bitrate, in kb/s of payload, over any window of `window_s` seconds that lies
    /// whole in the file. `None` when the file is shorter.
    pub fn video_kbps(&self, window_s: u32) -> Option<(f64, f64)> {
        let window_us = i64::from(window_s) * 1_000_000;
        let frames: Vec<&Packet> = self.track(Track::Video).collect();
        let end_us = frames.last()?.dts_us;
        let mut extremes: Option<(f64, f64)> = None;
        let (mut from, mut to, mut bytes) = (0, 0, 0);
        while frames[from].dts_us + window_us <= end_us {
            while frames[to].dts_us < frames[from].dts_us + window_us {
                bytes += frames[to].size;
                to += 1;
            }
            let kbps = bytes as f64 * 8.0 / 1000.0 / f64::from(window_s);
            let (least, most) = extremes.unwrap_or((kbps, kbps));
            extremes = Some((least.min(kbps), most.max(kbps)));
            bytes -= frames[from].size;
            from += 1;
        }
        extremes
    }

    /// By how many milliseconds the worst frame's presentation time misses a whole multiple of the frame's length,
    /// counted from the first shown.
    pub fn worst_bend_ms(&self, fps: f64) -> f64 {
        let Some(first) = self.track(Track::Video).map(|p| p.pts_us).min() else {
            return 0.0;
        };
        let frame_us = 1_000_000.0 / fps;
        self.track(Track::Video)
            .map(|p| {
                let since = (p.pts_us - first) as f64;
                (since - (since / frame_us).round() * frame_us).abs() / 1000.0
            })
            .fold(0.0, f64::max)
    }
}

/// ffprobe writes all numbers as text. `None` for packets of other kinds, such as the metadata's.
fn parse_packet(packet: &Value) -> Option<Packet> {
    let field = |name: &str| packet[name].as_str();
    let micros = |name: &str| {
        let seconds: f64 = field(name)?.parse().ok()?;
        Some((seconds * 1e6).round() as i64)
    };
    Some(Packet {
        track: match field("codec_type")? {
            "video" => Track::Video,
            "audio" => Track::Audio,
            _ => return None,
        },
        pts_us: micros("pts_time")?,
        dts_us: micros("dts_time").or_else(|| micros("pts_time"))?,
        keyframe: field("flags")?.starts_with('K'),
        size: field("size")?.parse().ok()?,
        hash: field("data_hash")?.to_owned(),
    })
}

/// ffprobe's description of the file's streams, as `-show_streams` gives it in JSON: a list.
#[track_caller]
pub fn streams(path: &Path) -> Vec<Value> {
    let out = Launch::new("ffprobe")
        .args(["-v", "error", "-show_streams", "-of", "json"])
        .arg(path)
        .output();
    let mut all: Value = serde_json::from_slice(&out).expect("ffprobe prints JSON");
    match all["streams"].take() {
        Value::Array(streams) => streams,
        other => panic!("ffprobe gave no list of streams: {other}"),
    }
}

/// Decodes everything; `Err` has what ffmpeg complained of. Any complaint is an error, also one that ffmpeg lived through.
pub fn decodes_cleanly(path: &Path) -> Result<(), String> {
    let done = std::process::Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-xerror", "-i"])
        .arg(path)
        // Else ffmpeg counts frames at a rate that it guesses from the first ones, and complains of its own count where some
        // were left out.
        .args(["-enc_time_base:v", "-1", "-f", "null", "-"])
        .output()
        .map_err(|e| format!("starting ffmpeg: {e}"))?;
    let said = String::from_utf8_lossy(&done.stderr).trim().to_owned();
    if done.status.success() && said.is_empty() {
        Ok(())
    } else {
        Err(format!("{}: {said}", done.status))
    }
}

/// The clip as FLV, H.264 and AAC-LC stereo, `seconds` long (the clip repeated), written to `path`: something to publish
/// without encoding. 720p30 at `video_kbps`, GOPs of 2 s, two B-frames.
pub fn encode_clip(path: &Path, seconds: u32, video_kbps: u32) {
    Launch::new("ffmpeg")
        .args(["-nostdin", "-y", "-v", "error", "-stream_loop", "-1", "-i"])
        .arg(crate::clip())
        // `-r 30` would keep the clip's 25: FLV is a format of variable rate.
        .args(["-t", &seconds.to_string(), "-vf", "fps=30"])
        .args(["-c:v", "libx264", "-preset", "ultrafast", "-bf", "2"])
        .args([
            "-b:v",
            &format!("{video_kbps}k"),
            "-maxrate",
            &format!("{video_kbps}k"),
        ])
        .args(["-bufsize", &format!("{video_kbps}k"), "-pix_fmt", "yuv420p"])
        .args(["-g", "60", "-keyint_min", "60", "-sc_threshold", "0"])
        .args([
            "-c:a", "aac", "-b:a", "128k", "-ar", "48000", "-ac", "2", "-f", "flv",
        ])
        .arg(path)
        .output();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ffprobe_is_read_right() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("clip.flv");
        encode_clip(&path, 12, 1000);
        let recording = Recording::read(&path);
        assert_eq!(recording.track(Track::Video).count(), 360);
        assert_eq!(recording.gop_frames(), [60; 5]);
        assert_eq!(recording.backward_steps(Track::Video), 0);
        assert_eq!(recording.backward_steps(Track::Audio), 0);
        assert!(recording.worst_bend_ms(30.0) <= 1.0);
        // Half a frame's length off is the worst that can be, so a wrong rate must show.
        assert!(recording.worst_bend_ms(29.0) > 10.0);
        let offset = recording.audio_start_offset_ms().unwrap();
        assert!(offset.abs() < 100.0, "{offset}");
        let (least, most) = recording.video_kbps(10).unwrap();
        assert!(
            least > 700.0 && most < 1300.0 && least <= most,
            "{least} {most}"
        );
        assert_eq!(recording.video_kbps(13), None);
        let streams = streams(&path);
        assert_eq!(streams[0]["height"], 720);
        assert_eq!(streams[1]["sample_rate"], "48000");
        assert_eq!(decodes_cleanly(&path), Ok(()));
    }

    #[test]
    fn frames_that_were_left_out_are_no_damage() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sparse.flv");
        Launch::new("ffmpeg")
            .args(["-nostdin", "-y", "-v", "error", "-i"])
            .arg(crate::clip())
            // Every second frame of the first four seconds is missing: ffmpeg takes that for 15 frames a second.
            .args(["-t", "9", "-vf", "fps=30,select='gt(n,120)+not(mod(n,2))'"])
            .args(["-vsync", "vfr", "-c:v", "libx264", "-preset", "ultrafast"])
            .args(["-c:a", "aac", "-flvflags", "no_duration_filesize"])
            .arg(&path)
            .output();
        assert_eq!(streams(&path)[0]["r_frame_rate"], "15/1");
        assert_eq!(decodes_cleanly(&path), Ok(()));
    }

    #[test]
    fn damage_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("clip.flv");
        encode_clip(&path, 3, 1000);
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        for byte in &mut bytes[middle..middle + 40_000] {
            *byte = 0x55;
        }
        std::fs::write(&path, bytes).unwrap();
        assert!(decodes_cleanly(&path).is_err());
    }
}
