//! The names that may become label values: those IANA registered, and a few every mail operator knows.
//!
//! A server may invent any keyword; only a name of these lists is shown as itself in a metric, all
//! others are `other`, so that no server can make the number of series grow.

/// What a name outside the lists is called.
pub const OTHER: &str = "other";

/// IANA "SMTP Service Extensions" and the unregistered ones in daily use.
const CAPABILITIES: &[&str] = &[
    "8BITMIME",
    "ATRN",
    "AUTH",
    "BINARYMIME",
    "BURL",
    "CHECKPOINT",
    "CHUNKING",
    "CONNEG",
    "CONPERM",
    "CONVERT",
    "DELIVERBY",
    "DSN",
    "ENHANCEDSTATUSCODES",
    "ETRN",
    "EXPN",
    "FUTURERELEASE",
    "HELP",
    "LIMITS",
    "MT-PRIORITY",
    "MTRK",
    "NO-SOLICITING",
    "PIPECONNECT",
    "PIPELINING",
    "PRDR",
    "REQUIRETLS",
    "RRVS",
    "SAML",
    "SEND",
    "SIZE",
    "SMTPUTF8",
    "SOML",
    "STARTTLS",
    "SUBMITTER",
    "TURN",
    "UTF8SMTP",
    "VERB",
    "VRFY",
    "X-ANONYMOUSTLS",
    "X-EXPS",
    "XCLIENT",
    "XFORWARD",
];

/// IANA "SASL Mechanisms" and the unregistered ones in daily use.
const MECHANISMS: &[&str] = &[
    "9798-M-DSA-SHA1",
    "9798-M-ECDSA-SHA1",
    "9798-M-RSA-SHA1-ENC",
    "9798-U-DSA-SHA1",
    "9798-U-ECDSA-SHA1",
    "9798-U-RSA-SHA1-ENC",
    "ANONYMOUS",
    "CRAM-MD5",
    "DIGEST-MD5",
    "EAP-AES128",
    "EAP-AES128-PLUS",
    "ECDH-X25519-CHALLENGE",
    "ECDSA-NIST256P-CHALLENGE",
    "EXTERNAL",
    "GS2-KRB5",
    "GS2-KRB5-PLUS",
    "GSS-SPNEGO",
    "GSSAPI",
    "KERBEROS_V4",
    "KERBEROS_V5",
    "LOGIN",
    "NMAS-SAMBA-AUTH",
    "NMAS_AUTHEN",
    "NMAS_LOGIN",
    "NTLM",
    "OAUTH10A",
    "OAUTHBEARER",
    "OPENID20",
    "OTP",
    "PLAIN",
    "PLAIN-CLIENTTOKEN",
    "SAML20",
    "SCRAM-SHA-1",
    "SCRAM-SHA-1-PLUS",
    "SCRAM-SHA-256",
    "SCRAM-SHA-256-PLUS",
    "SCRAM-SHA-512",
    "SCRAM-SHA-512-PLUS",
    "SECURID",
    "SKEY",
    "SPNEGO",
    "SPNEGO-PLUS",
    "SXOVER-PLUS",
    "XOAUTH",
    "XOAUTH2",
];

/// The label value for an EHLO keyword in upper case.
pub fn capability(keyword: &str) -> &'static str {
    known(CAPABILITIES, keyword)
}

/// The label value for a SASL mechanism in upper case.
pub fn mechanism(name: &str) -> &'static str {
    known(MECHANISMS, name)
}

fn known(list: &[&'static str], name: &str) -> &'static str {
    list.binary_search(&name).ok().and_then(|at| list.get(at)).copied().unwrap_or(OTHER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_are_sorted_so_that_every_name_is_found() {
        for list in [CAPABILITIES, MECHANISMS] {
            assert!(list.is_sorted());
            assert!(list.iter().all(|name| known(list, name) == *name));
        }
        assert_eq!(mechanism("X-0THROOT"), OTHER);
    }
}
