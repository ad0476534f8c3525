//! What the shop answers, in the customer's language.

use crate::whatsapp::text::{LANGUAGES, Language};

/// The answer to a customer of this name who wrote these words; `None` where nobody waits for one.
///
/// What no simulated customer asks, and what isn't a text, is answered in the language of those who are
/// called so, else in the most common one.
pub(crate) fn answer(words: &str, name: Option<&str>) -> Option<&'static str> {
    // The customer's running number stands behind a question.
    let question = words.rsplit_once(" #").map_or(words, |(question, _)| question);
    for language in LANGUAGES {
        if let Some(place) = language.questions.iter().position(|known| *known == question) {
            return language.answers.get(place).copied().filter(|answer| !answer.is_empty());
        }
    }
    let speaks = |language: &&Language| name.is_some_and(|name| language.names.contains(&name));
    Some(LANGUAGES.iter().find(speaks).unwrap_or(&LANGUAGES[0]).otherwise)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_gets_its_own_answer_whoever_asks() {
        assert_eq!(answer("What time do you close today? #12", Some("陳大文")), Some("At 9 this evening."));
        assert_eq!(answer("¿Tienen envío a domicilio?", None), Some("Sí, llega en dos días."));
    }

    #[test]
    fn thanks_need_no_answer() {
        for thanks in ["ok #3", "Gracias \u{1f60a} #1", "多謝晒 \u{1f64f}"] {
            assert_eq!(answer(thanks, Some("Joe")), None, "{thanks}");
        }
    }

    #[test]
    fn what_is_no_known_question_is_answered_in_the_language_of_the_name() {
        assert_eq!(
            answer("[image]", Some("Käthe Müller")),
            Some("Vielen Dank, wir kümmern uns gleich darum.")
        );
        for (words, name) in [("[location]", Some("Nobody We Know")), ("Is it #new?", None), ("", None)] {
            assert_eq!(answer(words, name), Some("Thank you, we'll see to it right away."), "{words}");
        }
    }
}
