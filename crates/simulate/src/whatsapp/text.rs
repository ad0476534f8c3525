//! What customers of a shop write, who they are, and what the shop answers them.

/// A language: names of people who speak it, what they ask a shop, and what it answers.
pub(crate) struct Language {
    /// ISO 3166 code that their business-scoped user ids start with.
    pub(crate) country: &'static str,
    pub(crate) names: &'static [&'static str],
    pub(crate) questions: &'static [&'static str],
    /// To each of the questions, in the same order; empty where nobody waits for one.
    pub(crate) answers: &'static [&'static str],
    /// To pictures, choices and places.
    pub(crate) otherwise: &'static str,
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
        answers: &[
            "It's $799, and there are three colours.",
            "Yes, there are two left. Shall I put one aside for you?",
            "At 9 this evening.",
            "Yes, in blue there is S, M and L.",
            "Hello! Yes, it's ready from 2 o'clock.",
            "",
            "I'm sorry. It's with the courier, who should be with you before noon tomorrow.",
            "We do, between 10 and 4.",
            "Yes, by card or in cash.",
            "Yes, its seams are sealed and it has a hood.",
            "",
            "I'm sorry to hear that. Bring it in with the receipt: the warranty pays for the repair.",
            "There is a kit to dig out a dinosaur for $35, and we'd gladly wrap it.",
        ],
        otherwise: "Thank you, we'll see to it right away.",
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
        answers: &[
            "$268,買兩件有九折。",
            "今晚九點收工。",
            "仲有貨,幫你留起兩件先。",
            "可以,沙田後日送到。",
            "",
            "到咗喇,隨時可以嚟攞。",
            "$498,有現貨。",
            "可以保養㗎,帶埋單據嚟門市就得。",
        ],
        otherwise: "收到,我哋即刻跟進。",
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
        answers: &[
            "Cuesta 16,999 pesos y lo hay en tres colores.",
            "Sí, llega en dos días.",
            "Buenas tardes. Hoy cerramos a las 9.",
            "Claro que sí, se lo aparto hasta mañana.",
            "",
            "Lo siento mucho. Tráigala con el recibo: la garantía cubre la reparación.",
        ],
        otherwise: "Gracias, lo vemos enseguida.",
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
        answers: &[
            "R$ 349,90, em até três vezes.",
            "Temos sim, em preto e em branco.",
            "Desculpe! O código acabou de sair por e-mail.",
            "",
        ],
        otherwise: "Recebido! Já vamos ver.",
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
        answers: &[
            "Der kostet 749 Euro, die Lieferung ist dabei.",
            "Ja, in Größe 42 ist noch etwas da.",
            "Gern, es liegt bis Samstag für Sie bereit.",
            "",
        ],
        otherwise: "Vielen Dank, wir kümmern uns gleich darum.",
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
        answers: &["इसकी कीमत ₹1,499 है।", "जी हाँ, आज शाम तक पहुँच जाएगा।", "₹1,499 hai, aaj hi le jaiye.", ""],
        otherwise: "धन्यवाद, हम अभी देखते हैं।",
    },
    Language {
        country: "AE",
        names: &["محمد علي", "فاطمة الزهراء"],
        questions: &["كم سعر هذا؟", "هل يوجد توصيل اليوم؟", "شكرا جزيلا"],
        answers: &["سعره ١٤٩ درهمًا.", "نعم، قبل التاسعة مساءً.", ""],
        otherwise: "شكرًا لك، سنتابع الأمر حالًا.",
    },
    Language {
        country: "JP",
        names: &["田中 花子", "佐藤 健"],
        questions: &["これはいくらですか?", "在庫はありますか?", "ありがとうございます!"],
        answers: &["税込みで3,980円です。", "はい、ございます。お取り置きしましょうか?", ""],
        otherwise: "ありがとうございます。すぐに確認いたします。",
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
    fn every_question_has_an_answer_or_needs_none() {
        for language in LANGUAGES {
            assert_eq!(language.questions.len(), language.answers.len(), "{}", language.country);
            let unanswered = language.answers.iter().filter(|answer| answer.is_empty()).count();
            assert!((1..=2).contains(&unanswered), "{}: thanks need no answer", language.country);
        }
    }

    #[test]
    fn every_language_has_its_share() {
        assert_eq!(SPEAKERS.len(), LANGUAGES.len());
        assert_eq!(SPEAKERS.iter().sum::<u32>(), 100);
    }
}
