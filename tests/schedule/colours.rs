//! Scenes that tell by their colour what is on air.

use std::path::Path;

pub const COLOURS: [(&str, [u8; 3]); 8] = [
    ("red", [255, 0, 0]),
    ("green", [0, 128, 0]),
    ("blue", [0, 0, 255]),
    ("yellow", [255, 255, 0]),
    ("magenta", [255, 0, 255]),
    ("white", [255, 255, 255]),
    ("cyan", [0, 255, 255]),
    ("grey", [128, 128, 128]),
];

fn nearest(pixel: &[u8]) -> &'static str {
    let distance = |colour: &[u8; 3]| -> i32 {
        colour
            .iter()
            .zip(pixel)
            .map(|(a, b)| (i32::from(*a) - i32::from(*b)).pow(2))
            .sum()
    };
    COLOURS
        .iter()
        .min_by_key(|(_, colour)| distance(colour))
        .unwrap()
        .0
}

pub fn ffmpeg(args: &[&str]) -> Vec<u8> {
    let done = std::process::Command::new("ffmpeg")
        .args(["-v", "error", "-y"])
        .args(args)
        .output()
        .unwrap();
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    done.stdout
}

/// A picture of that colour alone, as `NAME.png`.
pub fn picture(directory: &Path, name: &str) {
    let [r, g, b] = COLOURS.iter().find(|(known, _)| *known == name).unwrap().1;
    let source = format!("color=0x{r:02x}{g:02x}{b:02x}:s=480x270");
    let file = directory.join(format!("{name}.png"));
    let file = file.display().to_string();
    ffmpeg(&["-f", "lavfi", "-i", &source, "-frames:v", "1", &file]);
}

/// Of each frame of a file: the colour of the picture, and of what lies at its foot.
pub fn colours(file: &Path) -> Vec<(&'static str, &'static str)> {
    #[rustfmt::skip]
    let pixels = ffmpeg(&[
        "-i", &file.display().to_string(), "-an", "-vf", "scale=4:4:flags=area", "-fps_mode", "passthrough",
        "-f", "rawvideo", "-pix_fmt", "rgb24", "-",
    ]);
    let frames = pixels.chunks_exact(48);
    frames
        .map(|frame| (nearest(&frame[0..3]), nearest(&frame[36..39])))
        .collect()
}
