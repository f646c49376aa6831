//! Images and PDF pages for titles, read within bounds: whatever a venue was sent is scaled to what is shown of it.

use image::imageops::{self, FilterType};
use image::{DynamicImage, ImageDecoder, ImageReader, Limits, RgbaImage};
use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, Seek};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::SystemTime;
use tiny_skia::{IntSize, Pixmap};

/// Memory that one image may take while it is read: some 64 to 85 million pixels, more than a sheet of A3 at 600 dpi.
const MOST_BYTES: u64 = 256 << 20;
/// No side beyond what the formats allow in earnest.
const LONGEST_SIDE: u32 = 65_500;
/// A PDF page that is not drawn by then is left.
const PDF_LIMIT_S: &str = "20";
/// Images kept after use: a logo is drawn anew with each text.
const KEPT: usize = 8;

/// Reads images, and keeps the last ones.
#[derive(Default)]
pub struct Artwork {
    kept: Vec<(Key, Arc<Pixmap>)>,
}

/// A file that was written anew is another one.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Key {
    path: PathBuf,
    page: u32,
    fit: (u32, u32),
    written: Option<SystemTime>,
    length: u64,
}

impl Artwork {
    /// The image, or a PDF's page (from 1), as large as fits into `fit` pixels, its aspect kept. The error is for the operator,
    /// and begins with the file's name.
    pub fn read(&mut self, path: &Path, page: u32, fit: (u32, u32)) -> Result<Arc<Pixmap>, String> {
        let fit = (fit.0.max(1), fit.1.max(1));
        let about = |text: String| format!("{}: {text}", path.display());
        let metadata = std::fs::metadata(path).map_err(|e| about(unreadable(&e)))?;
        let key = Key {
            path: path.to_owned(),
            page,
            fit,
            written: metadata.modified().ok(),
            length: metadata.len(),
        };
        if let Some(at) = self.kept.iter().position(|(kept, _)| *kept == key) {
            let found = self.kept.remove(at);
            self.kept.push(found);
        } else {
            let pixmap = read(path, page, fit).map_err(about)?;
            if self.kept.len() == KEPT {
                self.kept.remove(0);
            }
            self.kept.push((key, Arc::new(pixmap)));
        }
        match self.kept.last() {
            Some((_, pixmap)) => Ok(pixmap.clone()),
            None => Err(about("was not kept".to_owned())),
        }
    }
}

fn unreadable(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
        _ => format!("can't be read: {error}"),
    }
}

fn read(path: &Path, page: u32, fit: (u32, u32)) -> Result<Pixmap, String> {
    let mut file = BufReader::new(File::open(path).map_err(|e| unreadable(&e))?);
    let head = file.fill_buf().map_err(|e| unreadable(&e))?;
    // Some writers put a few bytes before it.
    if find(head, b"%PDF-") {
        let png = draw_page(path, page, fit)?;
        return decode(Cursor::new(png), fit);
    }
    decode(file, fit)
}

fn find(bytes: &[u8], what: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(1_024)];
    head.windows(what.len()).any(|window| window == what)
}

fn decode(data: impl BufRead + Seek, fit: (u32, u32)) -> Result<Pixmap, String> {
    let no_image = |e: &dyn std::fmt::Display| {
        format!("is no PNG, JPEG or WebP image, nor a PDF, that can be read: {e}")
    };
    let mut reader = ImageReader::new(data)
        .with_guessed_format()
        .map_err(|e| no_image(&e))?;
    let mut limits = Limits::default();
    limits.max_alloc = Some(MOST_BYTES + (64 << 20));
    limits.max_image_width = Some(LONGEST_SIDE);
    limits.max_image_height = Some(LONGEST_SIDE);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(|e| no_image(&e))?;
    let (width, height) = decoder.dimensions();
    if width == 0 || height == 0 {
        return Err("has no pixels".to_owned());
    }
    if decoder.total_bytes() > MOST_BYTES {
        return Err(format!(
            "has {width} × {height} pixels, too many to be read safely: scale it down to 7680 × 4320 or less"
        ));
    }
    // A phone held sideways says so beside the picture.
    let orientation = decoder.orientation();
    let mut image = DynamicImage::from_decoder(decoder).map_err(|e| no_image(&e))?;
    if let Ok(orientation) = orientation {
        image.apply_orientation(orientation);
    }
    scaled(image, fit)
}

/// Premultiplied before it is scaled, or what is transparent would lend its colour to the edges.
fn scaled(image: DynamicImage, fit: (u32, u32)) -> Result<Pixmap, String> {
    let (width, height) = fitted((image.width(), image.height()), fit);
    // A fast filter to twice the size first: the good one takes seconds for a picture of 60 million pixels.
    let near = (width.saturating_mul(2), height.saturating_mul(2));
    let is_large = image.width() / 2 > near.0 && image.height() / 2 > near.1;
    let mut small = if image.color().has_alpha() {
        let mut image = image.into_rgba8();
        premultiply(&mut image);
        if is_large {
            imageops::thumbnail(&image, near.0, near.1)
        } else {
            image
        }
    } else if is_large {
        image.thumbnail_exact(near.0, near.1).into_rgba8()
    } else {
        image.into_rgba8()
    };
    if (small.width(), small.height()) != (width, height) {
        small = imageops::resize(&small, width, height, FilterType::Lanczos3);
        // The filter swings over at edges.
        for pixel in small.pixels_mut() {
            let [r, g, b, a] = pixel.0;
            pixel.0 = [r.min(a), g.min(a), b.min(a), a];
        }
    }
    IntSize::from_wh(width, height)
        .and_then(|size| Pixmap::from_vec(small.into_raw(), size))
        .ok_or_else(|| "can't be scaled".to_owned())
}

fn premultiply(image: &mut RgbaImage) {
    for pixel in image.pixels_mut() {
        let [r, g, b, a] = pixel.0;
        let part = |c: u8| ((u16::from(c) * u16::from(a) + 127) / 255) as u8;
        pixel.0 = [part(r), part(g), part(b), a];
    }
}

/// The largest size of that aspect that fits; each side at least 1.
fn fitted((width, height): (u32, u32), fit: (u32, u32)) -> (u32, u32) {
    let by_width = f64::from(fit.0) / f64::from(width);
    let scale = by_width.min(f64::from(fit.1) / f64::from(height));
    let side = |own: u32, most: u32| ((f64::from(own) * scale).round() as u32).clamp(1, most);
    (side(width, fit.0), side(height, fit.1))
}

/// A page as PNG, drawn by poppler in a process of its own: PDFs come from strangers.
fn draw_page(path: &Path, page: u32, fit: (u32, u32)) -> Result<Vec<u8>, String> {
    // Absolute, so that no name is taken for an option.
    let path = std::path::absolute(path).map_err(|e| unreadable(&e))?;
    let (page, side) = (page.to_string(), fit.0.max(fit.1).to_string());
    let output = Command::new("timeout")
        .args([
            "--kill-after=1",
            PDF_LIMIT_S,
            "pdftoppm",
            "-png",
            "-singlefile",
            "-cropbox",
        ])
        .args(["-f", &page, "-l", &page, "-scale-to", &side])
        .arg(&path)
        .stdin(Stdio::null())
        .output()
        .map_err(|e| format!("can't be drawn: {e}"))?;
    if output.status.success() && !output.stdout.is_empty() {
        return Ok(output.stdout);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(match output.status.code() {
        Some(127) => "needs pdftoppm to be drawn: install poppler-utils".to_owned(),
        Some(124 | 137) => {
            format!("took longer than {PDF_LIMIT_S} s to be drawn: make it an image")
        }
        _ if said.contains("Wrong page range") => format!("has no page {page}"),
        _ if said.contains("password") => "is locked by a password: save it without".to_owned(),
        _ => {
            let reason = said.lines().next().unwrap_or("no reason given");
            format!("can't be drawn: {reason}")
        }
    })
}

#[cfg(test)]
mod tests {
    use super::super::golden_tests::{document, logo};
    use super::*;

    fn refused(path: &Path, page: u32) -> String {
        let error = Artwork::default().read(path, page, (640, 360)).unwrap_err();
        let name = format!("{}: ", path.display());
        error.strip_prefix(&name).unwrap().to_owned()
    }

    #[test]
    fn an_image_fills_its_room_and_keeps_its_aspect() {
        let files = tempfile::tempdir().unwrap();
        let path = logo(files.path());
        let mut artwork = Artwork::default();
        let size = |image: Arc<Pixmap>| (image.width(), image.height());
        assert_eq!(artwork.read(&path, 1, (300, 300)).map(size), Ok((300, 200)));
        assert_eq!(
            artwork.read(&path, 1, (3_000, 1_000)).map(size),
            Ok((1_500, 1_000))
        );
        assert_eq!(artwork.read(&path, 1, (0, 0)).map(size), Ok((1, 1)));
        // What is transparent stays so.
        let small = artwork.read(&path, 1, (300, 300)).unwrap();
        assert_eq!(small.pixel(0, 0).map(|p| p.alpha()), Some(0));
        assert_eq!(small.pixel(100, 100).map(|p| p.alpha()), Some(255));
    }

    #[test]
    fn a_file_is_read_once_until_it_is_written_anew() {
        let files = tempfile::tempdir().unwrap();
        let path = logo(files.path());
        let mut artwork = Artwork::default();
        let first = artwork.read(&path, 1, (64, 64)).unwrap();
        assert!(Arc::ptr_eq(
            &first,
            &artwork.read(&path, 1, (64, 64)).unwrap()
        ));
        RgbaImage::new(50, 50).save(&path).unwrap();
        assert_eq!(artwork.read(&path, 1, (64, 64)).unwrap().height(), 64);
        for side in 1..40 {
            artwork.read(&path, 1, (side, side)).unwrap();
        }
        assert_eq!(artwork.kept.len(), KEPT);
    }

    #[test]
    fn what_is_no_image_is_told() {
        let files = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| {
            let path = files.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            path
        };
        assert_eq!(
            refused(&files.path().join("none.png"), 1),
            "there is no such file"
        );
        let unreadable = "is no PNG, JPEG or WebP image, nor a PDF, that can be read: ";
        for (name, bytes) in [
            ("empty.png", &b""[..]),
            ("text.png", &b"hello"[..]),
            ("cut.png", &b"\x89PNG\r\n\x1a\n\0\0"[..]),
        ] {
            let said = refused(&write(name, bytes), 1);
            assert!(said.starts_with(unreadable), "{name}: {said}");
        }
        let whole = std::fs::read(logo(files.path())).unwrap();
        let said = refused(&write("half.png", &whole[..whole.len() / 2]), 1);
        assert!(said.starts_with(unreadable), "{said}");
    }

    #[test]
    fn a_pdf_gives_the_page_asked_for() {
        let files = tempfile::tempdir().unwrap();
        let path = document(files.path());
        let mut artwork = Artwork::default();
        let mut blue = |page| {
            let image = artwork.read(&path, page, (640, 360)).unwrap();
            assert_eq!(image.height(), 360);
            let is_blue =
                |p: &&tiny_skia::PremultipliedColorU8| p.blue().saturating_sub(p.red()) > 60;
            image.pixels().iter().filter(is_blue).count()
        };
        // The second page's band is twice as high.
        let (first, second) = (blue(1), blue(2));
        assert!(first > 10_000 && second > first * 3 / 2, "{first} {second}");
        assert_eq!(refused(&path, 3), "has no page 3");
        let broken = files.path().join("broken.pdf");
        std::fs::write(&broken, "%PDF-1.4\nnothing").unwrap();
        assert!(refused(&broken, 1).starts_with("can't be drawn: "));
    }

    /// 20,000 pixels each way, all of one colour: 4 kB or so in a file, 1.6 GB in memory.
    #[test]
    fn a_huge_image_is_refused_by_its_size() {
        let files = tempfile::tempdir().unwrap();
        let path = files.path().join("huge.png");
        std::fs::write(&path, png_header(20_000, 20_000)).unwrap();
        assert_eq!(
            refused(&path, 1),
            "has 20000 × 20000 pixels, too many to be read safely: scale it down to 7680 × 4320 or less"
        );
        std::fs::write(&path, png_header(900_000, 2)).unwrap();
        assert!(refused(&path, 1).starts_with("is no PNG"));
    }

    /// A wide banner is scaled down.
    #[test]
    fn twenty_thousand_pixels_across_are_scaled_down() {
        let files = tempfile::tempdir().unwrap();
        let path = files.path().join("banner.png");
        let banner = image::GrayImage::from_fn(20_000, 400, |x, _| image::Luma([(x / 100) as u8]));
        banner.save(&path).unwrap();
        let image = Artwork::default().read(&path, 1, (1_280, 720)).unwrap();
        assert_eq!((image.width(), image.height()), (1_280, 26));
        let grey = |x| image.pixel(x, 13).map(|p| p.red());
        assert!(grey(20) < Some(10) && grey(1_250) > Some(190));
    }

    /// The beginning of a PNG of that size, RGBA.
    fn png_header(width: u32, height: u32) -> Vec<u8> {
        let mut chunk = b"IHDR".to_vec();
        chunk.extend(width.to_be_bytes());
        chunk.extend(height.to_be_bytes());
        chunk.extend([8, 6, 0, 0, 0]);
        let mut crc = u32::MAX;
        for byte in &chunk {
            crc ^= u32::from(*byte);
            for _ in 0..8 {
                crc = crc >> 1 ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 };
            }
        }
        let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\x0d".to_vec();
        png.extend(chunk);
        png.extend((!crc).to_be_bytes());
        png.extend(b"\0\0\0\x04IDAT\0\0\0\0");
        png
    }
}
