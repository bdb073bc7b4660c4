//! What the servers say: dialogues in the look of well-known mail servers, for `tests/lab/script.rs`.
//!
//! `HOST` stands for the server's own name. The short sleeps are what real servers do meanwhile: they look up
//! the client's name, ask a blocklist, write to a disk. Where a dialogue ends after the first list of capabilities,
//! the lab answers STARTTLS by its own rule: TLS, then the same list without STARTTLS.

/// Postfix on port 25: no AUTH for strangers.
pub(super) const POSTFIX_MX: &str = "
    *sleep 0.02
    S: 220 HOST ESMTP Postfix
    C: EHLO
    S: 250-HOST
    S: 250-PIPELINING
    S: 250-SIZE 52428800
    S: 250-ETRN
    S: 250-STARTTLS
    S: 250-ENHANCEDSTATUSCODES
    S: 250-8BITMIME
    S: 250-DSN
    S: 250-SMTPUTF8
    S: 250 CHUNKING
";

/// The same behind postscreen, which keeps everybody waiting: who speaks before the 220 is a bot.
pub(super) const POSTSCREEN: &str = "
    S: 220-HOST ESMTP Postfix
    *segment
    *sleep 2
    S: 220 HOST ESMTP Postfix
    C: EHLO
    S: 250-HOST
    S: 250-PIPELINING
    S: 250-SIZE 10240000
    S: 250-STARTTLS
    S: 250-ENHANCEDSTATUSCODES
    S: 250-8BITMIME
    S: 250 DSN
";

/// Postfix on port 587 with smtpd_tls_auth_only: AUTH inside TLS and nowhere else.
pub(super) const POSTFIX_SUBMISSION: &str = "
    *sleep 0.01
    S: 220 HOST ESMTP Postfix
    C: EHLO
    S: 250-HOST
    S: 250-PIPELINING
    S: 250-SIZE 52428800
    S: 250-STARTTLS
    S: 250-ENHANCEDSTATUSCODES
    S: 250-8BITMIME
    S: 250 CHUNKING
    C: STARTTLS
    S: 220 2.0.0 Ready to start TLS
    === TLS
    C: EHLO
    S: 250-HOST
    S: 250-PIPELINING
    S: 250-SIZE 52428800
    S: 250-AUTH PLAIN LOGIN
    S: 250-ENHANCEDSTATUSCODES
    S: 250-8BITMIME
    S: 250 CHUNKING
    C: QUIT
    S: 221 2.0.0 Bye
";

/// Postfix on port 465.
pub(super) const POSTFIX_SUBMISSIONS: &str = "
    === TLS
    *sleep 0.01
    S: 220 HOST ESMTP Postfix
    C: EHLO
    S: 250-HOST
    S: 250-PIPELINING
    S: 250-SIZE 52428800
    S: 250-AUTH PLAIN LOGIN
    S: 250-ENHANCEDSTATUSCODES
    S: 250-8BITMIME
    S: 250 CHUNKING
";

/// Exim on port 587.
pub(super) const EXIM_SUBMISSION: &str = "
    *sleep 0.06
    S: 220 HOST ESMTP Exim 4.98
    C: EHLO
    S: 250-HOST Hello probe.demo.example [127.0.0.1]
    S: 250-SIZE 52428800
    S: 250-LIMITS MAILMAX=1000 RCPTMAX=50000
    S: 250-8BITMIME
    S: 250-PIPELINING
    S: 250-PIPECONNECT
    S: 250-STARTTLS
    S: 250 HELP
    C: STARTTLS
    S: 220 TLS go ahead
    === TLS
    C: EHLO
    S: 250-HOST Hello probe.demo.example [127.0.0.1]
    S: 250-SIZE 52428800
    S: 250-LIMITS MAILMAX=1000 RCPTMAX=50000
    S: 250-8BITMIME
    S: 250-PIPELINING
    S: 250-PIPECONNECT
    S: 250-AUTH PLAIN LOGIN
    S: 250 HELP
    C: QUIT
    S: 221 HOST closing connection
";

/// Dovecot's submission service on port 465.
pub(super) const DOVECOT_SUBMISSIONS: &str = "
    === TLS
    S: 220 HOST Dovecot ready.
    C: EHLO
    *sleep 0.03
    S: 250-HOST
    S: 250-8BITMIME
    S: 250-AUTH PLAIN LOGIN
    S: 250-BURL imap
    S: 250-CHUNKING
    S: 250-ENHANCEDSTATUSCODES
    S: 250-SIZE 41943040
    S: 250 PIPELINING
    C: QUIT
    S: 221 2.0.0 Bye
";

/// Exchange on port 25. X-ANONYMOUSTLS is not STARTTLS, and X-EXPS is not AUTH.
pub(super) const EXCHANGE_MX: &str = "
    *sleep 0.09
    S: 220 HOST Microsoft ESMTP MAIL Service ready
    C: EHLO
    S: 250-HOST Hello [127.0.0.1]
    S: 250-SIZE 37748736
    S: 250-PIPELINING
    S: 250-DSN
    S: 250-ENHANCEDSTATUSCODES
    S: 250-STARTTLS
    S: 250-X-ANONYMOUSTLS
    S: 250-X-EXPS GSSAPI NTLM
    S: 250-8BITMIME
    S: 250-BINARYMIME
    S: 250-CHUNKING
    S: 250 XRDST
";

/// Exchange on port 587.
pub(super) const EXCHANGE_SUBMISSION: &str = "
    *sleep 0.09
    S: 220 HOST Microsoft ESMTP MAIL Service ready
    C: EHLO
    S: 250-HOST Hello [127.0.0.1]
    S: 250-SIZE 37748736
    S: 250-PIPELINING
    S: 250-DSN
    S: 250-ENHANCEDSTATUSCODES
    S: 250-STARTTLS
    S: 250-AUTH GSSAPI NTLM
    S: 250-8BITMIME
    S: 250-BINARYMIME
    S: 250 CHUNKING
    C: STARTTLS
    S: 220 2.0.0 SMTP server ready
    === TLS
    C: EHLO
    S: 250-HOST Hello [127.0.0.1]
    S: 250-SIZE 37748736
    S: 250-PIPELINING
    S: 250-DSN
    S: 250-ENHANCEDSTATUSCODES
    S: 250-AUTH GSSAPI NTLM LOGIN
    S: 250-8BITMIME
    S: 250-BINARYMIME
    S: 250 CHUNKING
    C: QUIT
    S: 221 2.0.0 Service closing transmission channel
";

/// hMailServer as installed: no certificate, so no STARTTLS.
pub(super) const WITHOUT_STARTTLS: &str = "
    *sleep 0.03
    S: 220 HOST ESMTP
    C: EHLO
    S: 250-HOST
    S: 250-SIZE 20480000
    S: 250-AUTH LOGIN
    S: 250 HELP
    C: QUIT
    S: 221 goodbye
";

/// OpenSMTPD whose certificate cannot be loaded.
pub(super) const STARTTLS_BROKEN: &str = "
    S: 220 HOST ESMTP OpenSMTPD
    C: EHLO
    S: 250-HOST Hello probe.demo.example [127.0.0.1], pleased to meet you
    S: 250-8BITMIME
    S: 250-ENHANCEDSTATUSCODES
    S: 250-SIZE 36700160
    S: 250-DSN
    S: 250-STARTTLS
    S: 250 HELP
    C: STARTTLS
    *sleep 0.015
    S: 454 4.7.0 TLS not available due to local problem
    C: QUIT
    S: 221 2.0.0 Bye
";

/// Somebody slips a reply in behind the one to STARTTLS; it would seem to have come through TLS.
pub(super) const STARTTLS_INJECTED: &str = r"
    S: 220 HOST ESMTP ready
    C: EHLO
    S: 250-HOST
    S: 250-SIZE 52428800
    S: 250-STARTTLS
    S: 250 8BITMIME
    C: STARTTLS
    *raw 220 2.0.0 Ready to start TLS\r\n250-HOST\r\n250 AUTH PLAIN LOGIN\r\n
    === TLS
";

/// Sendmail on port 465 with the option that makes it TLS forgotten.
pub(super) const CLEAR_TEXT: &str = "
    S: 220 HOST ESMTP Sendmail 8.18.1/8.18.1
";

/// GMX-like: AUTH for everybody, TLS or not.
pub(super) const AUTH_IN_CLEAR: &str = "
    *sleep 0.02
    S: 220 HOST Nemesis ESMTP Service ready
    C: EHLO
    S: 250-HOST Hello probe.demo.example [127.0.0.1]
    S: 250-8BITMIME
    S: 250-AUTH LOGIN PLAIN
    S: 250-SIZE 69920427
    S: 250 STARTTLS
";

/// A cloud service whose customer has SMTP AUTH switched off.
pub(super) const WITHOUT_AUTH: &str = "
    S: 220 HOST Microsoft ESMTP MAIL Service ready
    C: EHLO
    *sleep 0.04
    S: 250-HOST Hello [127.0.0.1]
    S: 250-SIZE 157286400
    S: 250-PIPELINING
    S: 250-DSN
    S: 250-ENHANCEDSTATUSCODES
    S: 250-STARTTLS
    S: 250-8BITMIME
    S: 250-BINARYMIME
    S: 250-CHUNKING
    S: 250 SMTPUTF8
";

/// Postfix to a client that comes too often.
pub(super) const TOO_MANY: &str = "
    S: 421 4.7.0 HOST Error: too many connections from 127.0.0.1
    *close
";

/// Proofpoint to a client on a blocklist; mind the word ESMTP.
pub(super) const BLOCKED: &str = "
    *sleep 0.15
    S: 554 HOST ESMTP Blocked - see https://www.example.com/lookup?ip=127.0.0.1
";

/// A server that hangs, or a load balancer that waits for one.
pub(super) const SILENCE: &str = "*idle";
