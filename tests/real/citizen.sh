#!/bin/bash
# Mail servers as their packages configure them, for the test of our manners (Debian, root):
#   citizen.sh start DIR   starts Postfix with its default limits (smtpd, submission, submissions, and postscreen with
#                          the pregreet test) and Dovecot's submission service before it; writes DIR/env
#   citizen.sh stop DIR    stops them; the logs stay in DIR/logs
# Needs what servers.sh has made: the certificates, and its Dovecot, which knows the user's password.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$(readlink -f "$0")")/lib.sh"

CITIZEN_SMTP=19325
CITIZEN_POSTSCREEN=19326
CITIZEN_SUBMISSION=19387
CITIZEN_SUBMISSIONS=19365
CITIZEN_DOVECOT_SUBMISSION=19388
CITIZEN_DOVECOT_SUBMISSIONS=19366

start_postfix() {
    local etc=$dir/citizen-postfix/etc
    make_postfix citizen-postfix
    # No limit and no test is changed.
    cat >>"$etc/main.cf" <<END
smtpd_sasl_path = $dir/citizen/auth
smtpd_forbid_unauth_pipelining = yes
postscreen_access_list =
postscreen_greet_action = enforce
postscreen_pipelining_enable = yes
postscreen_pipelining_action = enforce
postscreen_non_smtp_command_enable = yes
postscreen_non_smtp_command_action = enforce
postscreen_bare_newline_enable = yes
postscreen_bare_newline_action = enforce
END
    cat >>"$etc/master.cf" <<END
127.0.0.1:$CITIZEN_SMTP inet n - n - - smtpd
127.0.0.1:$CITIZEN_SUBMISSION inet n - n - - smtpd
  -o syslog_name=postfix/submission
  -o smtpd_tls_security_level=encrypt
  -o smtpd_sasl_auth_enable=yes
127.0.0.1:$CITIZEN_SUBMISSIONS inet n - n - - smtpd
  -o syslog_name=postfix/submissions
  -o smtpd_tls_wrappermode=yes
  -o smtpd_sasl_auth_enable=yes
127.0.0.1:$CITIZEN_POSTSCREEN inet n - n - 1 postscreen
END
    run_postfix citizen-postfix
}

start_dovecot() {
    mkdir -p "$dir/citizen/dovecot"
    cat >"$dir/citizen/dovecot/dovecot.conf" <<END
base_dir = $dir/citizen/dovecot/run
state_dir = $dir/citizen/dovecot/state
log_path = $dir/logs/citizen-dovecot.log
log_timestamp = "%b %d %H:%M:%S "
protocols = submission
hostname = $host
listen = 127.0.0.1
ssl = yes
ssl_cert = <$dir/certs/postfix.pem
ssl_key = <$dir/certs/postfix.key
disable_plaintext_auth = yes
auth_mechanisms = plain login
submission_relay_host = 127.0.0.1
submission_relay_port = $CITIZEN_SMTP
passdb {
  driver = passwd-file
  args = $dir/dovecot/users
}
userdb {
  driver = static
  args = uid=nobody gid=nogroup home=/nonexistent
}
service submission-login {
  inet_listener submission {
    port = $CITIZEN_DOVECOT_SUBMISSION
  }
  inet_listener submissions {
    port = $CITIZEN_DOVECOT_SUBMISSIONS
    ssl = yes
  }
}
service auth {
  unix_listener $dir/citizen/auth {
    mode = 0600
    user = postfix
  }
}
END
    spawn citizen-dovecot-start dovecot -F -c "$dir/citizen/dovecot/dovecot.conf"
}

greets() { # PORT: sends a whole greeting
    local line
    (
        exec 3<>"/dev/tcp/127.0.0.1/$1"
        read -r -t 10 line <&3
        [[ $line == 220* ]] && printf 'QUIT\r\n' >&3 && read -r -t 5 line <&3
    ) 2>/dev/null
}

start() {
    prepare "$1"
    local name
    ports_free $CITIZEN_SMTP $CITIZEN_POSTSCREEN $CITIZEN_SUBMISSION $CITIZEN_SUBMISSIONS \
        $CITIZEN_DOVECOT_SUBMISSION $CITIZEN_DOVECOT_SUBMISSIONS
    apt_install postfix dovecot-core dovecot-submissiond fail2ban
    trap 'stop "$dir"' EXIT
    start_postfix
    start_dovecot
    for name in CITIZEN_SMTP CITIZEN_SUBMISSION CITIZEN_DOVECOT_SUBMISSION; do
        wait_for $name greets "${!name}"
    done
    for name in CITIZEN_SUBMISSIONS CITIZEN_DOVECOT_SUBMISSIONS; do
        wait_for $name tls_ok "${!name}"
    done
    for name in ${!CITIZEN_*}; do
        put_env "$name" "${!name}"
    done
    trap - EXIT
}

stop() {
    dir=$1
    reap citizen-postfix citizen-dovecot-start
}

case ${1-}:$# in
    start:2) start "$2" ;;
    stop:2) stop "$2" ;;
    *) die "usage: citizen.sh start|stop DIR" ;;
esac
