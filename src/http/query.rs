//! The part of an address after its question mark.

/// The pairs of a query, decoded; `Err` says what is wrong with it.
pub(super) fn pairs(query: &str) -> Result<Vec<(String, String)>, String> {
    let parts = query.split('&').filter(|part| !part.is_empty());
    parts
        .map(|part| {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            Ok((decode(key)?, decode(value)?))
        })
        .collect()
}

/// `application/x-www-form-urlencoded`: `+` is a space, `%41` an A.
fn decode(text: &str) -> Result<String, String> {
    let wrong = || format!("{text:?} is no valid query: a percent sign is followed by two hexadecimal digits");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                let (high, low) = digit().zip(digit()).ok_or_else(wrong)?;
                (high << 4 | low) as u8
            }
            other => other,
        });
    }
    String::from_utf8(bytes).map_err(|_| format!("{text:?} is no valid query: it is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_decoded() {
        let expected = [("a", "b c"), ("d", "[::1]:25"), ("e", "")].map(|(k, v)| (k.to_owned(), v.to_owned()));
        assert_eq!(pairs("a=b+c&&d=%5b::1%5D:25&e").unwrap(), expected);
        for bad in ["a=%", "a=%4", "a=%zz", "a=%ff", "%+1=x"] {
            assert!(pairs(bad).is_err(), "{bad}");
        }
    }
}
