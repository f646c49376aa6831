//! What a sequence header says of its stream: AVCDecoderConfigurationRecord (ISO/IEC 14496-15, 5.2.4.1) with
//! its first sequence parameter set (H.264, 7.3.2.1.1), and AudioSpecificConfig (ISO/IEC 14496-3, 1.6.2.1).
//! Any input is safe: what can't be read is absent. Pure.

use serde::Serialize;

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VideoCodec {
    /// "High", "Main", …
    pub profile: String,
    /// "4.1"
    pub level: String,
    pub width: u32,
    pub height: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AudioCodec {
    /// "AAC-LC", "HE-AAC", …
    pub profile: String,
    pub sample_rate: u32,
    pub channels: u8,
    /// Samples of one frame at `sample_rate`.
    pub frame_samples: u32,
}

/// Reads an AVCDecoderConfigurationRecord.
pub fn video(record: &[u8]) -> Option<VideoCodec> {
    // Version, profile, compatibility, level, length size, number of parameter sets, length of the first.
    let [1, _, _, _, _, sets, high, low, rest @ ..] = record else {
        return None;
    };
    if sets & 0x1f == 0 {
        return None;
    }
    let sps = rest.get(..usize::from(u16::from_be_bytes([*high, *low])))?;
    sequence_parameter_set(sps)
}

fn sequence_parameter_set(nal: &[u8]) -> Option<VideoCodec> {
    let rbsp = without_emulation_prevention(nal.get(1..)?);
    let mut bits = Bits::new(&rbsp);
    let profile_idc = bits.take(8)?;
    let constraints = bits.take(8)?;
    let level_idc = bits.take(8)?;
    bits.unsigned()?; // seq_parameter_set_id
    let chroma_format = if HAS_CHROMA_FORMAT.contains(&profile_idc) {
        high_profile_fields(&mut bits)?
    } else {
        1
    };
    bits.unsigned()?; // log2_max_frame_num_minus4
    match bits.unsigned()? {
        0 => {
            bits.unsigned()?; // log2_max_pic_order_cnt_lsb_minus4
        }
        1 => {
            bits.take(1)?; // delta_pic_order_always_zero_flag
            bits.unsigned()?; // offset_for_non_ref_pic, signed, but as long
            bits.unsigned()?; // offset_for_top_to_bottom_field
            for _ in 0..bits.unsigned()?.min(255) {
                bits.unsigned()?; // offset_for_ref_frame
            }
        }
        _ => {}
    }
    bits.unsigned()?; // max_num_ref_frames
    bits.take(1)?; // gaps_in_frame_num_value_allowed_flag
    let width_mbs = bits.unsigned()?.checked_add(1)?;
    let height_units = bits.unsigned()?.checked_add(1)?;
    let frames_only = bits.take(1)?;
    if frames_only == 0 {
        bits.take(1)?; // mb_adaptive_frame_field_flag
    }
    bits.take(1)?; // direct_8x8_inference_flag
    let crop = if bits.take(1)? == 1 {
        [
            bits.unsigned()?,
            bits.unsigned()?,
            bits.unsigned()?,
            bits.unsigned()?,
        ]
    } else {
        [0; 4]
    };
    // Table 6-1 and (7-19) to (7-22): cropping counts in chroma samples, and in field lines when interlaced.
    let (sub_width, sub_height) = match chroma_format {
        1 => (2, 2),
        2 => (2, 1),
        _ => (1, 1),
    };
    let field = 2 - frames_only;
    let cropped = |size: Option<u32>, a: u32, b: u32, unit: u32| {
        size?.checked_sub(a.checked_add(b)?.checked_mul(unit)?)
    };
    let [left, right, top, bottom] = crop;
    Some(VideoCodec {
        profile: profile_name(profile_idc, constraints),
        level: format!("{}.{}", level_idc / 10, level_idc % 10),
        width: cropped(width_mbs.checked_mul(16), left, right, sub_width)?,
        height: cropped(
            height_units.checked_mul(16)?.checked_mul(field),
            top,
            bottom,
            sub_height * field,
        )?,
    })
}

/// The profiles whose parameter sets tell the chroma format (7.3.2.1.1).
const HAS_CHROMA_FORMAT: [u32; 12] = [100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134];

/// Reads over what the high profiles add; chroma_format_idc.
fn high_profile_fields(bits: &mut Bits) -> Option<u32> {
    let chroma_format = bits.unsigned()?;
    if chroma_format == 3 {
        bits.take(1)?; // separate_colour_plane_flag
    }
    bits.unsigned()?; // bit_depth_luma_minus8
    bits.unsigned()?; // bit_depth_chroma_minus8
    bits.take(1)?; // qpprime_y_zero_transform_bypass_flag
    if bits.take(1)? == 1 {
        let lists = if chroma_format == 3 { 12 } else { 8 };
        for list in 0..lists {
            if bits.take(1)? == 1 {
                skip_scaling_list(bits, if list < 6 { 16 } else { 64 })?;
            }
        }
    }
    Some(chroma_format)
}

/// 7.3.2.1.1.1
fn skip_scaling_list(bits: &mut Bits, size: u32) -> Option<()> {
    let (mut last, mut next) = (8i64, 8i64);
    for _ in 0..size {
        if next != 0 {
            next = (last + bits.signed()?).rem_euclid(256);
        }
        if next != 0 {
            last = next;
        }
    }
    Some(())
}

fn profile_name(profile_idc: u32, constraints: u32) -> String {
    let constraint_set1 = constraints & 0x40 != 0;
    match profile_idc {
        66 if constraint_set1 => "Constrained Baseline".into(),
        66 => "Baseline".into(),
        77 => "Main".into(),
        88 => "Extended".into(),
        100 => "High".into(),
        110 => "High 10".into(),
        122 => "High 4:2:2".into(),
        244 => "High 4:4:4 Predictive".into(),
        other => format!("profile {other}"),
    }
}

/// Reads an AudioSpecificConfig.
pub fn audio(config: &[u8]) -> Option<AudioCodec> {
    let mut bits = Bits::new(config);
    let object = object_type(&mut bits)?;
    let core_rate = sampling_frequency(&mut bits)?;
    let channel_configuration = bits.take(4)?;
    // 5 is SBR, 29 is SBR with parametric stereo: the output's rate and the core's object type follow.
    let extended = matches!(object, 5 | 29);
    let (sample_rate, core) = if extended {
        (sampling_frequency(&mut bits)?, object_type(&mut bits)?)
    } else {
        (core_rate, object)
    };
    // GASpecificConfig begins with frameLengthFlag for AAC's own object types.
    let short = matches!(core, 1..=4) && bits.take(1).unwrap_or(0) == 1;
    let core_samples: u32 = if short { 960 } else { 1024 };
    let frame_samples = if core_rate == 0 {
        core_samples
    } else {
        u32::try_from(u64::from(core_samples) * u64::from(sample_rate) / u64::from(core_rate))
            .ok()?
    };
    Some(AudioCodec {
        profile: match object {
            1 => "AAC Main".into(),
            2 => "AAC-LC".into(),
            5 => "HE-AAC".into(),
            29 => "HE-AAC v2".into(),
            other => format!("audio object type {other}"),
        },
        sample_rate,
        channels: match channel_configuration {
            7 => 8,
            n => n as u8,
        },
        frame_samples,
    })
}

fn object_type(bits: &mut Bits) -> Option<u32> {
    match bits.take(5)? {
        31 => Some(32 + bits.take(6)?),
        n => Some(n),
    }
}

fn sampling_frequency(bits: &mut Bits) -> Option<u32> {
    const RATES: [u32; 13] = [
        96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025,
        8_000, 7_350,
    ];
    match bits.take(4)? {
        15 => bits.take(24),
        index => RATES.get(index as usize).copied(),
    }
}

fn without_emulation_prevention(nal: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(nal.len());
    let mut zeros = 0;
    for &byte in nal {
        if zeros == 2 && byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        out.push(byte);
    }
    out
}

struct Bits<'a> {
    data: &'a [u8],
    at: usize,
}

impl<'a> Bits<'a> {
    fn new(data: &'a [u8]) -> Self {
        Bits { data, at: 0 }
    }

    /// `n` bits, at most 32, the first one highest.
    fn take(&mut self, n: u32) -> Option<u32> {
        let mut value = 0u32;
        for _ in 0..n {
            let byte = self.data.get(self.at / 8)?;
            value = (value << 1) | u32::from((byte >> (7 - self.at % 8)) & 1);
            self.at += 1;
        }
        Some(value)
    }

    /// ue(v), H.264 9.1
    fn unsigned(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while self.take(1)? == 0 {
            zeros += 1;
            if zeros > 31 {
                return None;
            }
        }
        Some((1u32 << zeros) - 1 + self.take(zeros)?)
    }

    /// se(v), H.264 9.1.1
    fn signed(&mut self) -> Option<i64> {
        let code = i64::from(self.unsigned()?);
        Some(if code % 2 == 1 {
            (code + 1) / 2
        } else {
            -code / 2
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record(sps: &[u8]) -> Vec<u8> {
        let mut out = vec![1, sps[1], sps[2], sps[3], 0xff, 0xe1];
        out.extend_from_slice(&(sps.len() as u16).to_be_bytes());
        out.extend_from_slice(sps);
        out
    }

    fn described(sps: &[u8]) -> (String, String, u32, u32) {
        let codec = video(&record(sps)).unwrap();
        (codec.profile, codec.level, codec.width, codec.height)
    }

    /// Parameter sets written by x264 164.
    #[test]
    fn reads_what_x264_writes() {
        let high = [
            0x67, 0x64, 0x00, 0x28, 0xac, 0xd9, 0x40, 0x78, 0x02, 0x27, 0xe5, 0xc0, 0x44, 0x00,
            0x00, 0x03, 0x00, 0x04, 0x00, 0x00, 0x03, 0x00, 0xf0, 0x3c, 0x60, 0xc6, 0x58,
        ];
        assert_eq!(described(&high), ("High".into(), "4.0".into(), 1920, 1080));
        let baseline = [
            0x67, 0x42, 0xc0, 0x1e, 0xd9, 0x00, 0xa0, 0x2f, 0xf9, 0x70, 0x11, 0x00, 0x00, 0x03,
            0x00, 0x01, 0x00, 0x00, 0x03, 0x00, 0x3c, 0x0f, 0x16, 0x2e, 0x48,
        ];
        assert_eq!(
            described(&baseline),
            ("Constrained Baseline".into(), "3.0".into(), 640, 360)
        );
        let interlaced_422 = [
            0x67, 0x7a, 0x00, 0x1e, 0xbc, 0xd9, 0x40, 0xa0, 0x63, 0xf1, 0xb8, 0x08, 0x80, 0x00,
            0x00, 0x03, 0x00, 0x80, 0x00, 0x00, 0x1e, 0x0f, 0x8a, 0x14, 0xcb,
        ];
        assert_eq!(
            described(&interlaced_422),
            ("High 4:2:2".into(), "3.0".into(), 640, 360)
        );
    }

    #[test]
    fn reads_audio_configs() {
        let lc = audio(&[0x11, 0x90]).unwrap();
        assert_eq!(
            (lc.profile.as_str(), lc.sample_rate, lc.channels),
            ("AAC-LC", 48_000, 2)
        );
        assert_eq!(lc.frame_samples, 1024);
        // SBR: object type 5, core 24 kHz, stereo, output 48 kHz, core AAC-LC.
        let he = audio(&[0x2b, 0x11, 0x88, 0x00]).unwrap();
        assert_eq!(
            (he.profile.as_str(), he.sample_rate, he.frame_samples),
            ("HE-AAC", 48_000, 2048)
        );
    }

    #[test]
    fn says_nothing_of_what_is_cut_short() {
        assert_eq!(video(&[]), None);
        assert_eq!(video(&[1, 100, 0, 40, 0xff, 0xe1, 0, 9, 0x67]), None);
        assert_eq!(audio(&[0x12]), None);
    }

    proptest! {
        #[test]
        fn any_input_is_safe(bytes: Vec<u8>) {
            let _ = video(&bytes);
            let _ = audio(&bytes);
            let mut sps = vec![0x67, 100, 0, 40];
            sps.extend_from_slice(&bytes);
            let _ = video(&record(&sps));
        }
    }
}
