//! Composes frames as plans say. Shell: GStreamer's buffers and scaler; the loops over pixels are in `regia_paint`.
//!
//! A scene that is one opaque source over the whole frame costs nothing: its buffer is the result. Everything else is painted into a
//! frame of a pool: what is opaque is scaled straight into it, the rest into a frame beside it and through an alpha from there.

use super::geometry::{Outline, Rect, Size, Tile, even, tile};
use super::plan::{Base, Key, Plan, Step, Way};
use crate::config::{ChromaKey, Colour, Layer, Side};
use crate::engine::format::{Frame, I420Layout, Pixels};
use crate::engine::titles::Drawing;
use gst_video::{VideoFormat, VideoFrameRef, VideoInfo};
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_video as gst_video;
use gstreamer_video::prelude::*;
use regia_paint::{self as paint, ChromaTable, WHOLE};

/// Scalers for so many geometries are kept; on the way of a moving layer each frame has its own.
const MOST_SCALERS: usize = 32;
/// Black in BT.709 at video range.
const BLACK: [u8; 3] = [16, 128, 128];

/// What a layer shows.
#[derive(Clone, Debug)]
pub struct Image {
    pub frame: Frame,
    pub size: Size,
}

impl Image {
    /// It is transparent in parts.
    fn has_alpha(&self) -> bool {
        self.frame.pixels == Pixels::A420
    }
}

/// What there is to be shown now.
pub trait Images {
    /// Of a layer that is a source; None: nothing.
    fn image(&self, layer: &Layer) -> Option<Image>;

    /// Of one that is a title or an image, of an overlay if it is one's, and where the canvas lies that they lie in.
    fn drawings(&self, layer: &Layer, overlay: Option<&str>) -> (&[Drawing], Outline);
}

/// There is no memory for frames, or GStreamer can't scale.
#[derive(Debug, thiserror::Error)]
#[error("a frame can't be composed: {0}")]
pub struct PaintError(pub String);

impl From<gst::glib::BoolError> for PaintError {
    fn from(error: gst::glib::BoolError) -> Self {
        PaintError(error.to_string())
    }
}

type Painted<T> = Result<T, PaintError>;

pub struct Painter {
    size: Size,
    info: VideoInfo,
    pool: gst::BufferPool,
    black: gst::Buffer,
    /// Where what is not opaque is scaled to: A420.
    beside: gst::Buffer,
    scalers: Vec<Scaler>,
    keys: Vec<(ChromaKey, ChromaTable)>,
    alpha: Alphas,
}

/// Rows of alpha.
#[derive(Default)]
struct Alphas {
    upper: Vec<u8>,
    lower: Vec<u8>,
    chroma: Vec<u8>,
    clean: Clean,
}

/// Rows of a picture before a key, without what the key's colour has spilled.
#[derive(Default)]
struct Clean {
    upper: Vec<u8>,
    lower: Vec<u8>,
    u: Vec<u8>,
    v: Vec<u8>,
    /// What luma loses, for each sample of chroma, and of luma.
    less: Vec<u8>,
    less_wide: Vec<u8>,
}

impl Clean {
    fn resize(&mut self, width: usize) {
        for row in [&mut self.upper, &mut self.lower, &mut self.less_wide] {
            row.resize(width, 0);
        }
        for row in [&mut self.u, &mut self.v, &mut self.less] {
            row.resize(width / 2, 0);
        }
    }

    /// From two rows of luma and the one of chroma that is theirs.
    fn take(&mut self, key: &ChromaTable, luma: [&[u8]; 2], u: &[u8], v: &[u8]) {
        key.clean([&mut self.u, &mut self.v, &mut self.less], u, v);
        paint::double(&mut self.less_wide, &self.less);
        paint::darken(&mut self.upper, luma[0], &self.less_wide);
        paint::darken(&mut self.lower, luma[1], &self.less_wide);
    }
}

struct Scaler {
    picture: Size,
    from: Rect,
    to: Rect,
    pixels: Pixels,
    converter: gst_video::VideoConverter,
}

/// A layer with what it shows and where.
enum Piece<'a> {
    Picture(Picture<'a>),
    Title {
        drawings: &'a [Drawing],
        canvas: Outline,
        weight: u16,
    },
}

struct Picture<'a> {
    layer: &'a Layer,
    image: Image,
    tile: Tile,
    weight: u16,
}

impl Picture<'_> {
    fn is_opaque(&self) -> bool {
        self.weight >= WHOLE && self.layer.chroma_key.is_none() && !self.image.has_alpha()
    }
}

impl Piece<'_> {
    fn covers(&self, size: Size) -> bool {
        match self {
            Piece::Picture(picture) => picture.tile.to == size.whole() && picture.is_opaque(),
            Piece::Title { .. } => false,
        }
    }

    /// The frame that is all of it.
    fn as_frame(&self, size: Size) -> Option<&gst::Buffer> {
        match self {
            Piece::Picture(Picture { image, tile, .. })
                if self.covers(size) && image.size == size && tile.from == size.whole() =>
            {
                Some(&image.frame.buffer)
            }
            _ => None,
        }
    }
}

/// BT.709 at video range, progressive, without a rate.
pub fn info(format: VideoFormat, size: Size) -> Painted<VideoInfo> {
    let colorimetry = gst_video::VideoColorimetry::new(
        gst_video::VideoColorRange::Range16_235,
        gst_video::VideoColorMatrix::Bt709,
        gst_video::VideoTransferFunction::Bt709,
        gst_video::VideoColorPrimaries::Bt709,
    );
    let info = VideoInfo::builder(format, size.width as u32, size.height as u32);
    Ok(info.colorimetry(&colorimetry).build()?)
}

impl Painter {
    pub fn new(layout: &I420Layout) -> Painted<Self> {
        let size = Size {
            width: layout.width,
            height: layout.height,
        };
        let plain = info(VideoFormat::I420, size)?;
        let pool = gst::BufferPool::new();
        let mut config = pool.config();
        let bytes = u32::try_from(plain.size()).unwrap_or(u32::MAX);
        config.set_params(Some(&plain.to_caps()?), bytes, 2, 0);
        pool.set_config(config)?;
        pool.set_active(true)?;
        let beside = vec![0; info(VideoFormat::A420, size)?.size()];
        let mut black = vec![BLACK[0]; plain.size()];
        black[plain.offset()[1]..].fill(BLACK[1]);
        Ok(Painter {
            size,
            info: plain,
            pool,
            black: gst::Buffer::from_mut_slice(black),
            beside: gst::Buffer::from_mut_slice(beside),
            scalers: Vec::new(),
            keys: Vec::new(),
            alpha: Alphas::default(),
        })
    }

    /// The frame of a plan.
    pub fn paint(&mut self, plan: &Plan, images: &dyn Images) -> Painted<gst::Buffer> {
        if plan.is_black() {
            return Ok(self.black.clone());
        }
        let mut frame = match &plan.base {
            Base::One { dark, .. } if *dark >= WHOLE => self.black.clone(),
            Base::One { layers, dark } => {
                let frame = self.compose(layers, images)?;
                self.darken(frame, *dark)?
            }
            Base::Two { from, to, way } => {
                let first = self.compose(from, images)?;
                let second = self.compose(to, images)?;
                self.join(&first, &second, *way)?
            }
        };
        for key in &plan.keys {
            if let Some(piece) = self.piece(&key.layer, images, Some(key)) {
                frame = self.draw(frame, &piece)?;
            }
        }
        self.darken(frame, plan.black)
    }

    /// Layers, lowest first. One that covers the frame alone is given as it is.
    pub fn compose(&mut self, layers: &[Layer], images: &dyn Images) -> Painted<gst::Buffer> {
        let pieces = layers.iter();
        let pieces = pieces.filter_map(|layer| self.piece(layer, images, None));
        let mut pieces: Vec<Piece> = pieces.collect();
        // Nothing is seen of what lies under a layer that covers all.
        if let Some(lowest) = pieces.iter().rposition(|piece| piece.covers(self.size)) {
            pieces.drain(..lowest);
        }
        let mut pieces = pieces.into_iter().peekable();
        let lowest = pieces.peek();
        let whole = lowest.and_then(|piece| piece.as_frame(self.size).cloned());
        let covered = lowest.is_some_and(|piece| piece.covers(self.size));
        let is_drawn = whole.is_some();
        let mut frame = match whole {
            Some(frame) => frame,
            None if covered => self.fresh()?,
            None => self.black.clone(),
        };
        for piece in pieces.skip(usize::from(is_drawn)) {
            frame = self.draw(frame, &piece)?;
        }
        Ok(frame)
    }

    fn piece<'a>(
        &self,
        layer: &'a Layer,
        images: &'a dyn Images,
        key: Option<&Key>,
    ) -> Option<Piece<'a>> {
        let weight = f64::from(key.map_or(WHOLE, |key| key.weight));
        let weight = (weight * layer.opacity.clamp(0.0, 1.0)).round() as u16;
        if weight == 0 {
            return None;
        }
        if layer.content.source().is_none() {
            let overlay = key.map(|key| key.overlay.as_str());
            let (drawings, canvas) = images.drawings(layer, overlay);
            return Some(Piece::Title {
                drawings,
                canvas,
                weight,
            });
        }
        let image = images.image(layer)?;
        let place = |moved| tile(self.size, image.size, &layer.place, &layer.crop, moved);
        let mut tile = place((0, 0))?;
        if let Some(away) = key.map(|key| key.away).filter(|away| *away > 0) {
            tile = place(way_in(self.size, tile.outline, away))?;
        }
        Some(Piece::Picture(Picture {
            layer,
            image,
            tile,
            weight,
        }))
    }

    /// Draws one layer over a frame, into it if nobody else has it.
    fn draw(&mut self, frame: gst::Buffer, piece: &Piece) -> Painted<gst::Buffer> {
        let picture = match piece {
            Piece::Picture(picture) => picture,
            Piece::Title { drawings: [], .. } => return Ok(frame),
            Piece::Title {
                drawings,
                canvas,
                weight,
            } => {
                let mut frame = self.own(frame)?;
                let target = writable(&mut frame)?;
                for drawing in *drawings {
                    self.lay_raster(target, drawing, *canvas, *weight)?;
                }
                return Ok(frame);
            }
        };
        let mut frame = self.own(frame)?;
        let target = writable(&mut frame)?;
        let border = picture.layer.border;
        if let Some(border) = border.filter(|border| border.width > 0.0) {
            let width = even(border.width * self.size.height as f64).max(2);
            let outline = picture.tile.outline;
            self.border(target, outline, width, border.colour, picture.weight)?;
        }
        if picture.is_opaque() {
            self.scale(&picture.image, target, &picture.tile)?;
        } else {
            let mut beside = std::mem::take(&mut self.beside);
            let drawn = writable(&mut beside)
                .and_then(|scaled| self.scale(&picture.image, scaled, &picture.tile))
                .and_then(|()| self.lay(&beside, target, picture));
            self.beside = beside;
            drawn?;
        }
        Ok(frame)
    }

    /// Lays a drawing over a frame through its own alpha.
    fn lay_raster(
        &mut self,
        target: &mut gst::BufferRef,
        drawing: &Drawing,
        canvas: Outline,
        weight: u16,
    ) -> Painted<()> {
        let Drawing {
            raster, opacity, ..
        } = drawing;
        let weight = (f32::from(weight) * opacity.clamp(0.0, 1.0)).round() as u16;
        let place = Outline {
            x: canvas.x + i64::from(drawing.x),
            y: canvas.y + i64::from(drawing.y),
            width: raster.width as i64,
            height: raster.height as i64,
        };
        let clip = drawing.clip.map_or(canvas, |clip| Outline {
            x: canvas.x + i64::from(clip.x),
            y: canvas.y + i64::from(clip.y),
            width: i64::from(clip.width),
            height: i64::from(clip.height),
        });
        let seen = place.meet(clip).and_then(|seen| seen.within(self.size));
        let Some(seen) = seen.filter(|_| weight > 0) else {
            return Ok(());
        };
        // Inside of the raster, for it is inside of its place.
        let from_x = usize::try_from(seen.x as i64 - place.x).unwrap_or(0);
        let from_y = usize::try_from(seen.y as i64 - place.y).unwrap_or(0);
        let strides = [0, 1].map(|plane| self.info.stride()[plane] as usize);
        let mut onto = VideoFrameRef::from_buffer_ref_writable(target, &self.info)?;
        let [onto_y, onto_u, onto_v, _] = onto.planes_data_mut();
        let Alphas {
            upper,
            lower,
            chroma,
            ..
        } = &mut self.alpha;
        upper.resize(seen.width, 0);
        lower.resize(seen.width, 0);
        chroma.resize(seen.width / 2, 0);
        for row in (0..seen.height).step_by(2) {
            let luma = |row: usize| {
                let start = (from_y + row) * raster.width + from_x;
                start..start + seen.width
            };
            upper.copy_from_slice(&raster.a[luma(row)]);
            lower.copy_from_slice(&raster.a[luma(row + 1)]);
            if weight < WHOLE {
                paint::dim(upper, weight);
                paint::dim(lower, weight);
            }
            paint::halve(chroma, upper, lower);
            for (row, alpha) in [(row, &*upper), (row + 1, &*lower)] {
                let start = (seen.y + row) * strides[0] + seen.x;
                let line = &mut onto_y[start..start + seen.width];
                paint::key_over(line, &raster.y[luma(row)], alpha);
            }
            let start = (from_y + row) / 2 * (raster.width / 2) + from_x / 2;
            let from = start..start + seen.width / 2;
            let start = (seen.y + row) / 2 * strides[1] + seen.x / 2;
            let line = start..start + seen.width / 2;
            paint::key_over(&mut onto_u[line.clone()], &raster.u[from.clone()], chroma);
            paint::key_over(&mut onto_v[line], &raster.v[from], chroma);
        }
        Ok(())
    }

    /// Lays what is beside the frame over it, at the same place.
    fn lay(
        &mut self,
        beside: &gst::BufferRef,
        target: &mut gst::BufferRef,
        piece: &Picture,
    ) -> Painted<()> {
        let info = info(piece.image.frame.pixels.video_format(), self.size)?;
        let from = VideoFrameRef::from_buffer_ref_readable(beside, &info)?;
        let mut onto = VideoFrameRef::from_buffer_ref_writable(target, &self.info)?;
        let strides = [0, 1].map(|plane| self.info.stride()[plane] as usize);
        let [from_y, from_u, from_v, from_a] = from.planes_data();
        let [onto_y, onto_u, onto_v, _] = onto.planes_data_mut();
        let Rect {
            x,
            y,
            width,
            height,
        } = piece.tile.to;
        let key = match piece.layer.chroma_key {
            Some(key) => Some(table(&mut self.keys, key)),
            None => None,
        };
        let Alphas {
            upper,
            lower,
            chroma,
            clean,
        } = &mut self.alpha;
        upper.resize(width, 0);
        lower.resize(width, 0);
        chroma.resize(width / 2, 0);
        clean.resize(width);
        let luma = |row: usize| row * strides[0] + x..row * strides[0] + x + width;
        for row in (y..y + height).step_by(2) {
            let colour = row / 2 * strides[1] + x / 2..row / 2 * strides[1] + (x + width) / 2;
            let rows = [luma(row), luma(row + 1)];
            if key.is_none() && !piece.image.has_alpha() {
                for line in rows {
                    paint::mix_over(&mut onto_y[line.clone()], &from_y[line], piece.weight);
                }
                paint::mix_over(
                    &mut onto_u[colour.clone()],
                    &from_u[colour.clone()],
                    piece.weight,
                );
                paint::mix_over(&mut onto_v[colour.clone()], &from_v[colour], piece.weight);
                continue;
            }
            if let Some(key) = key {
                key.alpha(chroma, &from_u[colour.clone()], &from_v[colour.clone()]);
                paint::double(upper, chroma);
                lower.copy_from_slice(upper);
            } else {
                upper.fill(255);
                lower.fill(255);
            }
            if piece.image.has_alpha() {
                paint::both(upper, &from_a[rows[0].clone()]);
                paint::both(lower, &from_a[rows[1].clone()]);
            }
            if piece.weight < WHOLE {
                paint::dim(upper, piece.weight);
                paint::dim(lower, piece.weight);
            }
            paint::halve(chroma, upper, lower);
            let [first, second] = rows;
            let (from_u, from_v) = (&from_u[colour.clone()], &from_v[colour.clone()]);
            let from_luma = [&from_y[first.clone()], &from_y[second.clone()]];
            let ([from_first, from_second], from_u, from_v) = match key {
                Some(key) => {
                    clean.take(key, from_luma, from_u, from_v);
                    let luma = [clean.upper.as_slice(), clean.lower.as_slice()];
                    (luma, clean.u.as_slice(), clean.v.as_slice())
                }
                None => (from_luma, from_u, from_v),
            };
            paint::key_over(&mut onto_y[first], from_first, upper);
            paint::key_over(&mut onto_y[second], from_second, lower);
            paint::key_over(&mut onto_u[colour.clone()], from_u, chroma);
            paint::key_over(&mut onto_v[colour], from_v, chroma);
        }
        Ok(())
    }

    /// Scales a part of a picture into a part of a frame.
    fn scale(&mut self, image: &Image, target: &mut gst::BufferRef, tile: &Tile) -> Painted<()> {
        let pixels = image.frame.pixels;
        let format = pixels.video_format();
        let from = info(format, image.size)?;
        let to = info(format, self.size)?;
        let same = |scaler: &Scaler| {
            (scaler.picture, scaler.from, scaler.to, scaler.pixels)
                == (image.size, tile.from, tile.to, pixels)
        };
        // The one that was used last stands last.
        let scaler = match self.scalers.iter().position(same) {
            Some(found) => self.scalers.remove(found),
            None => Scaler {
                picture: image.size,
                from: tile.from,
                to: tile.to,
                pixels,
                converter: gst_video::VideoConverter::new(&from, &to, Some(scaling(tile)))?,
            },
        };
        let source = VideoFrameRef::from_buffer_ref_readable(&image.frame.buffer, &from)?;
        let mut target = VideoFrameRef::from_buffer_ref_writable(target, &to)?;
        scaler.converter.frame_ref(&source, &mut target);
        if self.scalers.len() >= MOST_SCALERS {
            self.scalers.remove(0);
        }
        self.scalers.push(scaler);
        Ok(())
    }

    /// Paints a frame of so many pixels around a layer's place.
    fn border(
        &self,
        target: &mut gst::BufferRef,
        inner: Outline,
        width: i64,
        colour: Colour,
        weight: u16,
    ) -> Painted<()> {
        let weight = u32::from(weight) * u32::from(colour.alpha) / 255;
        let strip = |x, y, width, height| Outline {
            x,
            y,
            width,
            height,
        };
        let outer = inner.grown(width);
        let strips = [
            strip(outer.x, outer.y, outer.width, width),
            strip(outer.x, inner.y + inner.height, outer.width, width),
            strip(outer.x, inner.y, width, inner.height),
            strip(inner.x + inner.width, inner.y, width, inner.height),
        ];
        let mut onto = VideoFrameRef::from_buffer_ref_writable(target, &self.info)?;
        let planes = onto.planes_data_mut();
        for (plane, (data, value)) in planes.into_iter().zip(video(colour)).enumerate() {
            let (stride, half) = (self.info.stride()[plane] as usize, plane.min(1));
            for rect in strips.iter().filter_map(|strip| strip.within(self.size)) {
                for row in rect.y >> half..(rect.y + rect.height) >> half {
                    let start = row * stride;
                    let line = start + (rect.x >> half)..start + ((rect.x + rect.width) >> half);
                    paint::tint(&mut data[line], value, weight as u16);
                }
            }
        }
        Ok(())
    }

    /// Two whole frames become one.
    fn join(
        &mut self,
        first: &gst::BufferRef,
        second: &gst::BufferRef,
        way: Way,
    ) -> Painted<gst::Buffer> {
        let mut joined = self.fresh()?;
        let first = VideoFrameRef::from_buffer_ref_readable(first, &self.info)?;
        let second = VideoFrameRef::from_buffer_ref_readable(second, &self.info)?;
        let mut onto = VideoFrameRef::from_buffer_ref_writable(writable(&mut joined)?, &self.info)?;
        let strides = [&first, &second].map(|frame| [0, 1, 2].map(|n| frame.plane_stride()[n]));
        let parts = parts(self.size, way);
        let planes = onto.planes_data_mut().into_iter().take(3).enumerate();
        for (plane, onto) in planes {
            let half = plane.min(1);
            let stride = self.info.stride()[plane] as usize;
            let width = self.size.width >> half;
            let row_of = |which: usize, row: usize| {
                let frame = [&first, &second][which];
                let data = frame.planes_data()[plane];
                &data[row * strides[which][plane] as usize..][..width]
            };
            for row in 0..self.size.height >> half {
                let out = &mut onto[row * stride..][..width];
                if let Way::Mix(weight) = way {
                    paint::mix(out, row_of(0, row), row_of(1, row), weight);
                    continue;
                }
                for part in &parts {
                    let to = part.to;
                    if row < to.y >> half || row >= (to.y + to.height) >> half {
                        continue;
                    }
                    let line = row - (to.y >> half) + (part.y >> half);
                    let (x, width) = (part.x >> half, to.width >> half);
                    out[to.x >> half..][..width]
                        .copy_from_slice(&row_of(part.which, line)[x..][..width]);
                }
            }
        }
        drop(onto);
        Ok(joined)
    }

    /// A frame on its way to black.
    fn darken(&mut self, frame: gst::Buffer, weight: u16) -> Painted<gst::Buffer> {
        if weight == 0 {
            return Ok(frame);
        }
        if weight >= WHOLE {
            return Ok(self.black.clone());
        }
        let mut darker = self.fresh()?;
        let from = VideoFrameRef::from_buffer_ref_readable(&frame, &self.info)?;
        let mut onto = VideoFrameRef::from_buffer_ref_writable(writable(&mut darker)?, &self.info)?;
        let planes = onto.planes_data_mut().into_iter().take(3).enumerate();
        for (plane, onto) in planes {
            let half = plane.min(1);
            let width = self.size.width >> half;
            let stride = self.info.stride()[plane] as usize;
            let from_stride = from.plane_stride()[plane] as usize;
            let data = from.planes_data()[plane];
            for row in 0..self.size.height >> half {
                let line = &data[row * from_stride..][..width];
                paint::mix_to(
                    &mut onto[row * stride..][..width],
                    line,
                    BLACK[plane],
                    weight,
                );
            }
        }
        drop(onto);
        drop(from);
        Ok(darker)
    }

    fn fresh(&self) -> Painted<gst::Buffer> {
        let frame = self.pool.acquire_buffer(None);
        frame.map_err(|error| PaintError(error.to_string()))
    }

    /// The frame itself if nobody else has it, else a copy.
    fn own(&self, frame: gst::Buffer) -> Painted<gst::Buffer> {
        if frame.is_writable() {
            return Ok(frame);
        }
        let mut copy = self.fresh()?;
        let from = VideoFrameRef::from_buffer_ref_readable(&frame, &self.info)?;
        let mut onto = VideoFrameRef::from_buffer_ref_writable(writable(&mut copy)?, &self.info)?;
        from.copy(&mut onto)?;
        drop(onto);
        Ok(copy)
    }
}

impl Drop for Painter {
    fn drop(&mut self) {
        // Its frames are freed when the last of them comes back.
        let _ = self.pool.set_active(false);
    }
}

fn writable(frame: &mut gst::Buffer) -> Painted<&mut gst::BufferRef> {
    let used = || PaintError("a frame of its own is in use elsewhere".into());
    frame.get_mut().ok_or_else(used)
}

fn scaling(tile: &Tile) -> gst_video::VideoConverterConfig {
    let number = |value: usize| i32::try_from(value).unwrap_or(i32::MAX);
    let mut config = gst_video::VideoConverterConfig::new();
    config.set_src_x(number(tile.from.x));
    config.set_src_y(number(tile.from.y));
    config.set_src_width(Some(number(tile.from.width)));
    config.set_src_height(Some(number(tile.from.height)));
    config.set_dest_x(number(tile.to.x));
    config.set_dest_y(number(tile.to.y));
    config.set_dest_width(Some(number(tile.to.width)));
    config.set_dest_height(Some(number(tile.to.height)));
    config.set_fill_border(false);
    config.set_resampler_method(gst_video::VideoResamplerMethod::Linear);
    config.set_chroma_resampler_method(gst_video::VideoResamplerMethod::Linear);
    config
}

/// The table of a key, made once.
fn table(tables: &mut Vec<(ChromaKey, ChromaTable)>, key: ChromaKey) -> &ChromaTable {
    let found = tables.iter().position(|(known, _)| *known == key);
    let index = found.unwrap_or_else(|| {
        let [_, u, v] = video(key.colour);
        tables.push((key, ChromaTable::new(u, v, key.similarity, key.smoothness)));
        tables.len() - 1
    });
    &tables[index].1
}

/// BT.709 at video range.
pub fn video(colour: Colour) -> [u8; 3] {
    let [r, g, b] = [colour.red, colour.green, colour.blue].map(|c| f64::from(c) / 255.0);
    let luma = 0.2126 * r + 0.7152 * g + 0.0722 * b;
    let [u, v] = [(b - luma) / 1.8556, (r - luma) / 1.5748];
    [
        (16.0 + 219.0 * luma).round() as u8,
        (128.0 + 224.0 * u).round() as u8,
        (128.0 + 224.0 * v).round() as u8,
    ]
}

/// A part of a frame that comes from one of two.
struct Part {
    to: Rect,
    which: usize,
    /// Where it begins there.
    x: usize,
    y: usize,
}

/// What of which frame is where, for those ways that only move. Later ones lie over earlier ones.
fn parts(size: Size, way: Way) -> Vec<Part> {
    let (Way::Slide(step) | Way::Push(step) | Way::Wipe(step)) = way else {
        return Vec::new();
    };
    let Step { from, .. } = step;
    let Size { width, height } = size;
    let across = matches!(from, Side::Left | Side::Right);
    let whole = if across { width } else { height };
    let come = step.pixels(whole);
    let rest = whole - come;
    // Along the axis: where it lies, how long it is, and where it begins in its own frame.
    let at_start = matches!(from, Side::Left | Side::Top);
    let second = match (way, at_start) {
        (Way::Wipe(_), true) => (0, come, 0),
        (Way::Wipe(_), false) => (rest, come, rest),
        (_, true) => (0, come, rest),
        (_, false) => (rest, come, 0),
    };
    let first = match (way, at_start) {
        (Way::Push(_), true) => (come, rest, 0),
        (Way::Push(_), false) => (0, rest, come),
        _ => (0, whole, 0),
    };
    let part = |which, (at, long, begins)| {
        let (to, x, y) = if across {
            let to = Rect {
                x: at,
                width: long,
                ..size.whole()
            };
            (to, begins, 0)
        } else {
            let to = Rect {
                y: at,
                height: long,
                ..size.whole()
            };
            (to, 0, begins)
        };
        Part { to, which, x, y }
    };
    vec![part(0, first), part(1, second)]
}

/// How far a picture is moved that has `away` of its way from the nearest edge of the frame before it.
fn way_in(frame: Size, place: Outline, away: u16) -> (i64, i64) {
    let (width, height) = (frame.width as i64, frame.height as i64);
    let left = place.x + place.width;
    let right = width - place.x;
    let top = place.y + place.height;
    let bottom = height - place.y;
    let part = |way: i64| way * i64::from(away) / i64::from(WHOLE) / 2 * 2;
    let nearest = left.min(right).min(top).min(bottom);
    // Titles stand low or high: where both are as near, they come from there.
    if nearest == bottom {
        (0, part(bottom))
    } else if nearest == top {
        (0, -part(top))
    } else if nearest == right {
        (part(right), 0)
    } else {
        (-part(left), 0)
    }
}
