//! The font of a PDF: the glyphs that its texts need, how wide each is, and which character each is, so that texts can be found.
//!
//! ```text
//! text ──encoded──► a code for each character ─┬─ ToUnicode: the character
//!                                              └─ CIDToGIDMap: its glyph in the embedded part of the font
//! ```

use super::{pdf::compressed, plot::font};
use pdf_writer::{
    Filter, Finish, Name, Pdf, Rect, Ref, Str,
    types::{CidFontType, FontFlags, SystemInfo, UnicodeCmap},
};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use subsetter::GlyphRemapper;
use ttf_parser::Face;

/// How codes become characters: by number, as Adobe's registry names it.
const IDENTITY: SystemInfo<'static> =
    SystemInfo { registry: Str(b"Adobe"), ordering: Str(b"Identity"), supplement: 0 };

/// Thickness of an upright stem, which viewers use for a replacement of the font. The font's files do not tell it; Adobe's
/// metrics of Helvetica have 76 and 88.
const STEM: f32 = 80.0;

/// The characters of a file's texts. Each has a code of its own, also those that the font lacks.
pub(super) struct EmbeddedFont {
    codes: BTreeMap<char, u16>,
}

impl EmbeddedFont {
    /// Gives each character of these texts a code.
    pub(super) fn of<'a>(texts: impl Iterator<Item = &'a str>) -> Result<Self, String> {
        let mut codes: BTreeMap<char, u16> = texts.flat_map(str::chars).map(|c| (c, 0)).collect();
        // Code 0 is no character.
        for (code, (_, place)) in (1..).zip(&mut codes) {
            *place = u16::try_from(code).map_err(|_| "its texts have too many characters")?;
        }
        Ok(Self { codes })
    }

    /// Returns the codes of a text, two bytes for each character.
    pub(super) fn encoded(&self, text: &str) -> Vec<u8> {
        let code = |c| self.codes.get(&c).copied().unwrap_or_default();
        text.chars().flat_map(|c| code(c).to_be_bytes()).collect()
    }

    /// Writes the font as the object with this number and those that follow it.
    pub(super) fn write(&self, pdf: &mut Pdf, first: i32) -> Result<(), String> {
        let [composite, cid, descriptor, program, glyph_map, to_unicode] =
            [0, 1, 2, 3, 4, 5].map(|place| Ref::new(first + place));
        let face = Face::parse(font::FILE, 0).map_err(|error| error.to_string())?;
        let mut remapper = GlyphRemapper::new();
        let mut map = vec![0, 0];
        for c in self.codes.keys() {
            let glyph = face.glyph_index(*c).map_or(0, |glyph| glyph.0);
            map.extend(remapper.remap(glyph).to_be_bytes());
        }
        let subset = subsetter::subset(font::FILE, 0, &remapper).map_err(|e| e.to_string())?;
        let name = format!("{}+LiberationSans", self.tag());
        let name = Name(name.as_bytes());

        pdf.type0_font(composite)
            .base_font(name)
            .encoding_predefined(Name(b"Identity-H"))
            .descendant_font(cid)
            .to_unicode(to_unicode);
        let mut font = pdf.cid_font(cid);
        font.subtype(CidFontType::Type2).base_font(name).system_info(IDENTITY);
        font.font_descriptor(descriptor).default_width(0.0).cid_to_gid_map_stream(glyph_map);
        let widths =
            self.codes.keys().map(|c| font::width(c.encode_utf8(&mut [0; 4]), 1000.0) as f32);
        font.widths().consecutive(1, widths);
        font.finish();

        let scaled = |units: i16| 1000.0 * f32::from(units) / f32::from(face.units_per_em());
        let bounds = face.global_bounding_box();
        let [left, bottom, right, top] =
            [bounds.x_min, bounds.y_min, bounds.x_max, bounds.y_max].map(scaled);
        pdf.font_descriptor(descriptor)
            .name(name)
            .flags(FontFlags::NON_SYMBOLIC)
            .bbox(Rect::new(left, bottom, right, top))
            .italic_angle(0.0)
            .ascent(scaled(face.ascender()))
            .descent(scaled(face.descender()))
            .cap_height(scaled(face.capital_height().unwrap_or_default()))
            .stem_v(STEM)
            .font_file2(program);

        let mut cmap = UnicodeCmap::new(Name(b"Adobe-Identity-UCS"), IDENTITY);
        self.codes.iter().for_each(|(c, code)| cmap.pair(*code, *c));
        let packed = |bytes: &[u8]| compressed(bytes).map_err(|error| error.to_string());
        let (cmap, map, program_bytes) = (packed(&cmap.finish())?, packed(&map)?, packed(&subset)?);
        pdf.stream(to_unicode, &cmap).filter(Filter::FlateDecode);
        pdf.stream(glyph_map, &map).filter(Filter::FlateDecode);
        let mut stream = pdf.stream(program, &program_bytes);
        stream.filter(Filter::FlateDecode);
        stream.pair(Name(b"Length1"), i32::try_from(subset.len()).unwrap_or(i32::MAX));
        Ok(())
    }

    /// Returns six letters that tell the parts of one font apart (ISO 32000-1, 9.6.4), from the characters that it holds.
    fn tag(&self) -> String {
        let characters: String = self.codes.keys().collect();
        let digest = Sha256::digest(characters.as_bytes());
        digest.iter().take(6).map(|byte| char::from(b'A' + byte % 26)).collect()
    }
}
