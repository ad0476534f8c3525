//! What customers of a shop write, and who they are.

/// A language: names of people who speak it, and what they ask a shop.
pub(crate) struct Language {
    /// ISO 3166 code that their business-scoped user ids start with.
    pub(crate) country: &'static str,
    pub(crate) names: &'static [&'static str],
    pub(crate) questions: &'static [&'static str],
}

/// The languages by how often they occur; the first is the most common.
pub(crate) const LANGUAGES: &[Language] = &[
    Language {
        country: "US",
        names: &["Sheena Nelson", "Tom O'Brien", "Grace Hall", "Daniel Okafor", "Mary-Ann Lee", "Joe"],
        questions: &[
            "How much is the iPhone?",
            "Is this still available?",
            "What time do you close today?",
            "Do you have it in blue, size M?",
            "Hi! Can I pick up my order this afternoon?",
            "Thanks, see you tomorrow \u{1f44d}",
            "My parcel hasn't arrived yet. Could you check where it is, please?",
            "Do you deliver on Sundays?",
            "Can I pay by card on delivery?",
            "Is the \"winter\" jacket waterproof?",
            "ok",
            "Hello, I bought a coffee machine from you last month and now it leaks from the bottom whenever it heats \
             up. I still have the receipt. Can you repair it under the warranty, or do I have to send it in myself?",
            "I'm looking for a birthday present for my daughter, she turns nine and loves dinosaurs. My budget is \
             about 40 dollars. What would you recommend, and could you wrap it?",
        ],
    },
    Language {
        country: "HK",
        names: &["陳大文", "黃小明", "Chan Tai Man", "李嘉欣", "Wong Siu Ming \u{1f338}"],
        questions: &[
            "請問呢個幾錢?",
            "你哋今日幾點收工?",
            "仲有冇貨?我想要兩件",
            "可唔可以送貨去沙田?",
            "多謝晒 \u{1f64f}",
            "我尋日訂咗嘅嘢到咗未?",
            "How much is the rice cooker? 有冇現貨?",
            "你好,我上個月喺你哋度買咗部咖啡機,而家一開就漏水。單據仲喺度,請問可唔可以保養維修?定係要我自己寄返去?",
        ],
    },
    Language {
        country: "MX",
        names: &["María Fernández", "José Ángel Núñez", "Lucía", "Iñaki Muñoz"],
        questions: &[
            "¿Cuánto cuesta el iPhone?",
            "¿Tienen envío a domicilio?",
            "Buenas tardes, ¿a qué hora cierran?",
            "¿Me lo aparta, por favor? Paso mañana",
            "Gracias \u{1f60a}",
            "Hola, compré una cafetera el mes pasado y ahora gotea por abajo. Todavía tengo el recibo. ¿La pueden \
             reparar con la garantía o tengo que enviarla yo?",
        ],
    },
    Language {
        country: "BR",
        names: &["João da Silva", "Conceição Araújo", "Zé"],
        questions: &[
            "Quanto custa esse tênis?",
            "Vocês têm o tamanho 38?",
            "Não recebi o código de rastreamento ainda",
            "Obrigada! \u{2764}\u{fe0f}",
        ],
    },
    Language {
        country: "DE",
        names: &["Jürgen Groß", "Käthe Müller", "Björn"],
        questions: &[
            "Was kostet der Kühlschrank?",
            "Haben Sie das auch in Größe 42?",
            "Könnten Sie mir das bis Samstag zurücklegen?",
            "Schönen Dank, bis morgen!",
        ],
    },
    Language {
        country: "IN",
        names: &["प्रिया शर्मा", "Rahul Verma", "अमित"],
        questions: &[
            "इसकी कीमत क्या है?",
            "क्या आज डिलीवरी हो सकती है?",
            "Price kya hai bhaiya?",
            "धन्यवाद \u{1f64f}",
        ],
    },
    Language {
        country: "AE",
        names: &["محمد علي", "فاطمة الزهراء"],
        questions: &["كم سعر هذا؟", "هل يوجد توصيل اليوم؟", "شكرا جزيلا"],
    },
    Language {
        country: "JP",
        names: &["田中 花子", "佐藤 健"],
        questions: &["これはいくらですか?", "在庫はありますか?", "ありがとうございます!"],
    },
];

/// In how many of 100 cases a contact speaks each of [`LANGUAGES`].
pub(crate) const SPEAKERS: [u32; 8] = [44, 20, 10, 8, 7, 5, 3, 3];

/// What stands under pictures.
pub(crate) const CAPTIONS: &[&str] =
    &["Do you have this one?", "my receipt", "呢款仲有冇?", "¿Es este?", "It came like this \u{1f622}"];

/// What customers choose from lists and buttons: id and title.
pub(crate) const CHOICES: &[(&str, &str)] = &[
    ("pickup", "Pick up in store"),
    ("deliver", "Deliver to me"),
    ("talk", "Talk to a person"),
    ("hours", "Opening hours"),
];

/// Where customers say that they are: latitude, longitude, name, address.
pub(crate) const PLACES: &[(&str, &str, &str, &str)] = &[
    ("22.2819", "114.1581", "Central Market", "93 Queen's Road Central, Hong Kong"),
    ("22.3193", "114.1694", "旺角", "Mong Kok, Kowloon, Hong Kong"),
    ("19.4326", "-99.1332", "Zócalo", "Plaza de la Constitución, Ciudad de México"),
];

/// Appends `text` inside a JSON string as Meta writes it: everything beyond ASCII as `\uXXXX` (in
/// lower case, UTF-16), and `/` as `\/`.
pub(crate) fn push_escaped(json: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            '/' => json.push_str("\\/"),
            ' '..='~' => json.push(character),
            _ => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    json.push_str("\\u");
                    for shift in [12, 8, 4, 0] {
                        let digit = u32::from(*unit >> shift) & 15;
                        json.push(char::from_digit(digit, 16).expect("four bits are a hexadecimal digit"));
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped_as_meta_does_and_reads_back() {
        let mut json = String::from("\"");
        push_escaped(&mut json, "äöå a/b \"q\" \\ \n \u{1f44d}");
        json.push('"');
        assert_eq!(json, r#""\u00e4\u00f6\u00e5 a\/b \"q\" \\ \u000a \ud83d\udc4d""#);
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), "äöå a/b \"q\" \\ \n \u{1f44d}");
    }

    #[test]
    fn every_language_has_its_share() {
        assert_eq!(SPEAKERS.len(), LANGUAGES.len());
        assert_eq!(SPEAKERS.iter().sum::<u32>(), 100);
    }
}
