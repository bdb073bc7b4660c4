#!/bin/bash
# Real mail servers on loopback ports, for the integration tests (Debian, root):
#   servers.sh start DIR   installs what is missing, starts Postfix (with
#                          Dovecot for SASL), Exim and OpenSMTPD, waits until
#                          each port answers, and writes DIR/env
#   servers.sh stop DIR    stops them; the logs stay in DIR/logs
# All of them call themselves mail.test.example, use certificates of the CA in
# DIR/certs/ca.pem, and throw away the mail that they accept
# (for test.example and, except for OpenSMTPD, for any domain after a login).
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$(readlink -f "$0")")/lib.sh"

# The ports are below the range of ephemeral ports (32768 and up).
POSTFIX_SMTP=19025          # STARTTLS optional, no AUTH at all, as an MX has it
POSTFIX_SUBMISSION=19587    # STARTTLS required, AUTH only after it
POSTFIX_SUBMISSIONS=19465   # TLS from the start, AUTH
POSTFIX_POSTSCREEN=19026    # postscreen: half a greeting, the rest 3 s later
POSTFIX_AUTH=19588          # the same with every mechanism of Dovecot's
EXIM_SMTP=19125             # STARTTLS optional, AUTH only after it
EXIM_SUBMISSIONS=19466      # TLS from the start, AUTH
EXIM_AUTH=19126             # the same with CRAM-MD5 alone
OPENSMTPD_SMTP=19225        # STARTTLS optional, AUTH only after it
OPENSMTPD_SUBMISSIONS=19467 # TLS from the start, AUTH
OPENSMTPD_PLAIN=19226       # neither TLS nor AUTH

user=tester
password=correct-horse
token_key=0123456789abcdef0123456789abcdef

# Exim and OpenSMTPD conflict with the postfix package, so they are only
# unpacked, into a cache that later runs find again.
cache=/var/cache/mail_endpoint_exporter-tests
exim=$cache/exim4-daemon-heavy/usr/sbin/exim4
smtpd=$cache/opensmtpd/usr/sbin/smtpd

# unpack PACKAGE PROGRAM [APT-OPTION...]: unpacks the package into the cache,
# unless it is there, and installs the libraries that its program lacks here.
unpack() {
    local package=$1 program=$2 tmp libraries
    shift 2
    if [[ ! -x $program ]]; then
        mkdir -p "$cache"
        tmp=$(mktemp -d "$cache/tmp.XXXXXX")
        chmod 755 "$tmp"
        apt_update
        (cd "$tmp" && apt_get "$@" download "$package")
        dpkg-deb -x "$tmp/$package"_*.deb "$tmp"
        dpkg-deb -f "$tmp/$package"_*.deb Depends >"$tmp/depends"
        rm -rf "$tmp/$package"_*.deb "${cache:?}/$package"
        mv "$tmp" "$cache/$package"
    fi
    if [[ $(ldd "$program") == *"not found"* ]]; then
        mapfile -t libraries < <(tr ',' '\n' <"$cache/$package/depends" | awk '/^ *lib/ { print $1 }')
        apt_install "${libraries[@]}"
    fi
}

# Debian 12's own OpenSMTPD fails each TLS handshake with "missing private key"
# (OpenSMTPD 6.8 with OpenSSL 3, upstream issue 1171); its backports have one
# that works. They are looked up with package lists of our own, beside apt's.
unpack_opensmtpd() {
    local apt=$dir/apt options=() codename uri
    codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
    if [[ ! -x $smtpd && $codename == bookworm ]]; then
        apt_update
        # shellcheck disable=SC2016 # not ours to expand
        uri=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Codename: bookworm' | head -n 1)
        mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial"
        echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $uri bookworm-backports main" \
            >"$apt/sources.list"
        options=(-o "Dir::Etc::SourceList=$apt/sources.list" -o Dir::Etc::SourceParts=/dev/null
            -o "Dir::State::Lists=$apt/lists" -o "Dir::Cache=$apt/cache")
        apt_get "${options[@]}" update
    fi
    unpack opensmtpd "$smtpd" "${options[@]}"
    rm -rf "$apt"
}

system_user() { # NAME HOME: makes the user and its group, unless they exist
    getent group "$1" >/dev/null || groupadd --system "$1"
    getent passwd "$1" >/dev/null ||
        useradd --badname --system --gid "$1" --home-dir "$2" --no-create-home --shell /usr/sbin/nologin "$1"
}

install_all() {
    if ! command -v postconf >/dev/null; then
        # Leave /etc/postfix without a main.cf; ours is elsewhere.
        echo "postfix postfix/main_mailer_type select No configuration" | debconf-set-selections
    fi
    # OpenSMTPD insists on finding the bundle of ca-certificates.
    apt_install openssl ca-certificates postfix dovecot-core
    unpack exim4-daemon-heavy "$exim"
    unpack_opensmtpd
    # What the packages' own scripts would have made, with the compiled-in names.
    system_user Debian-exim /var/spool/exim4
    system_user opensmtpd /var/lib/opensmtpd/empty
    system_user opensmtpq /var/lib/opensmtpd/empty
    mkdir -p /var/lib/opensmtpd/empty
}

# leaf NAME OPENSSL-KEY-OPTIONS...: a certificate signed by the CA.
leaf() {
    local name=$1
    shift
    openssl req -newkey "$@" -noenc -keyout "$name.key" -subj "/CN=$host" -out "$name.csr"
    openssl x509 -req -in "$name.csr" -CA ca.pem -CAkey ca.key -set_serial "0x$(openssl rand -hex 15)" \
        -days 90 -out "$name.pem" -extfile <(
            echo "basicConstraints = critical, CA:FALSE"
            echo "keyUsage = critical, digitalSignature"
            echo "extendedKeyUsage = serverAuth"
            echo "subjectAltName = DNS:$host, IP:127.0.0.1"
            echo "authorityKeyIdentifier = keyid"
        )
}

make_certs() {
    mkdir -p "$dir/certs"
    cd "$dir/certs"
    local p256=(ec -pkeyopt ec_paramgen_curve:P-256)
    {
        openssl req -x509 -newkey "${p256[@]}" -noenc -keyout ca.key -days 90 -out ca.pem \
            -subj "/CN=mail_endpoint_exporter test CA" \
            -addext "keyUsage = critical, keyCertSign, cRLSign"
        leaf postfix rsa:2048
        leaf exim "${p256[@]}"
        leaf opensmtpd "${p256[@]}"
    } >"$dir/logs/openssl.log" 2>&1 || die "openssl failed; see $dir/logs/openssl.log"
    rm -f -- *.csr
    chmod 600 -- *.key
    chown Debian-exim: exim.key
    cd /
}

# token LIFETIME: an OAuth 2.0 token for the user, good for so many seconds from now: a JWT (RFC 7519) with HMAC.
token() {
    local signed
    base64url() { base64 -w 0 | tr '+/' '-_' | tr -d '='; }
    signed=$(printf '{"alg":"HS256","typ":"JWT"}' | base64url).$(
        printf '{"sub":"%s","email":"%s","exp":%d}' $user $user $((EPOCHSECONDS + $1)) | base64url
    )
    echo "$signed.$(printf %s "$signed" | openssl dgst -sha256 -hmac "$token_key" -binary | base64url)"
}

# Dovecot does nothing but check passwords and tokens for Postfix.
start_dovecot() {
    mkdir -p "$dir/dovecot"
    echo "$user:{PLAIN}$password" >"$dir/dovecot/users"
    mkdir -p "$dir/dovecot/keys/default/HS256"
    printf %s "$token_key" | base64 >"$dir/dovecot/keys/default/HS256/default"
    cat >"$dir/dovecot/oauth2.conf" <<END
introspection_mode = local
local_validation_key_dict = fs:posix:prefix=$dir/dovecot/keys/
username_attribute = email
END
    cat >"$dir/dovecot/dovecot.conf" <<END
base_dir = $dir/dovecot/run
state_dir = $dir/dovecot/state
log_path = $dir/logs/dovecot.log
protocols =
ssl = no
auth_mechanisms = plain login cram-md5 scram-sha-256 xoauth2
# No delay after a wrong password.
auth_failure_delay = 0
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
passdb {
  driver = passwd-file
  args = $dir/dovecot/users
  mechanisms = plain login cram-md5 scram-sha-256
}
passdb {
  driver = oauth2
  args = $dir/dovecot/oauth2.conf
  mechanisms = xoauth2
}
userdb {
  driver = static
  args = uid=nobody gid=nogroup home=/nonexistent
}
service auth {
  unix_listener $dir/postfix/spool/private/auth {
    mode = 0600
    user = postfix
  }
}
END
    spawn dovecot dovecot -F -c "$dir/dovecot/dovecot.conf"
}

start_postfix() {
    local etc=$dir/postfix/etc
    make_postfix postfix
    cat >>"$etc/main.cf" <<END
smtpd_peername_lookup = no
smtpd_client_connection_count_limit = 0
smtpd_tls_loglevel = 1
smtpd_sasl_path = private/auth
# Mail for test.example, and any mail of a logged-in user, goes nowhere.
relay_domains = test.example
relay_transport = discard:
# One mailbox that does not exist, and one before which strangers have to wait.
smtpd_recipient_restrictions = check_recipient_access
  inline:{{nobody@test.example = 550 5.1.1 No such mailbox} {grey@test.example = 450 4.7.1 Greylisted}}
# Other ports than the one for it show what they always have.
smtpd_sasl_mechanism_filter = plain, login
default_transport = discard:
# Every client of postscreen has to wait for the greeting, each time: nobody is
# on a list, and nobody is remembered for longer than the smallest time.
postscreen_access_list =
postscreen_greet_action = enforce
postscreen_greet_wait = 3s
postscreen_greet_ttl = 1s
postscreen_cache_map =
END
    cat >>"$etc/master.cf" <<END
127.0.0.1:$POSTFIX_SMTP inet n - n - - smtpd
127.0.0.1:$POSTFIX_SUBMISSION inet n - n - - smtpd
  -o syslog_name=postfix/submission
  -o smtpd_tls_security_level=encrypt
  -o smtpd_sasl_auth_enable=yes
127.0.0.1:$POSTFIX_SUBMISSIONS inet n - n - - smtpd
  -o syslog_name=postfix/submissions
  -o smtpd_tls_wrappermode=yes
  -o smtpd_sasl_auth_enable=yes
127.0.0.1:$POSTFIX_AUTH inet n - n - - smtpd
  -o syslog_name=postfix/auth
  -o smtpd_tls_security_level=encrypt
  -o smtpd_sasl_auth_enable=yes
  -o smtpd_sasl_mechanism_filter=!external,static:rest
127.0.0.1:$POSTFIX_POSTSCREEN inet n - n - 1 postscreen
END
    run_postfix postfix
}

start_exim() {
    mkdir -p "$dir/exim/spool"
    touch "$dir"/logs/exim-{main,reject,panic}.log
    chown Debian-exim: "$dir/exim/spool" "$dir"/logs/exim-{main,reject,panic}.log
    cat >"$dir/exim/exim.conf" <<END
exim_path = $exim
primary_hostname = $host
exim_user = Debian-exim
exim_group = Debian-exim
spool_directory = $dir/exim/spool
log_file_path = $dir/logs/exim-%s.log
pid_file_path = $dir/exim/exim.pid
notifier_socket =
log_selector = +smtp_connection +incoming_port +tls_cipher
keep_environment =
local_interfaces = 127.0.0.1
daemon_smtp_ports = $EXIM_SMTP : $EXIM_SUBMISSIONS : $EXIM_AUTH
tls_on_connect_ports = $EXIM_SUBMISSIONS
tls_advertise_hosts = *
tls_certificate = $dir/certs/exim.pem
tls_privatekey = $dir/certs/exim.key
auth_advertise_hosts = \${if eq{\$tls_in_cipher}{}{}{*}}
smtp_accept_max = 200
smtp_connect_backlog = 100
acl_smtp_rcpt = acl_rcpt

begin acl
acl_rcpt:
  discard domains = test.example
  discard authenticated = *
  deny message = relay not permitted

begin authenticators
PLAIN:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_advertise_condition = \${if !eq{\$received_port}{$EXIM_AUTH}}
  server_set_id = \$auth2
  server_condition = \${if and{{eq{\$auth2}{$user}}{eq{\$auth3}{$password}}}}
LOGIN:
  driver = plaintext
  public_name = LOGIN
  server_prompts = Username:: : Password::
  server_advertise_condition = \${if !eq{\$received_port}{$EXIM_AUTH}}
  server_set_id = \$auth1
  server_condition = \${if and{{eq{\$auth1}{$user}}{eq{\$auth2}{$password}}}}
CRAM:
  driver = cram_md5
  public_name = CRAM-MD5
  server_advertise_condition = \${if eq{\$received_port}{$EXIM_AUTH}}
  server_secret = \${if eq{\$auth1}{$user}{$password}fail}
  server_set_id = \$auth1
END
    spawn exim-stderr "$exim" -C "$dir/exim/exim.conf" -bdf
}

start_opensmtpd() {
    mkdir -p "$dir/opensmtpd"
    cat >"$dir/opensmtpd/smtpd.conf" <<END
pki $host cert "$dir/certs/opensmtpd.pem"
pki $host key "$dir/certs/opensmtpd.key"
table users { $user = "$(openssl passwd -6 "$password")" }
listen on 127.0.0.1 port $OPENSMTPD_SMTP tls pki $host auth-optional <users> hostname $host
listen on 127.0.0.1 port $OPENSMTPD_SUBMISSIONS smtps pki $host auth <users> hostname $host
listen on 127.0.0.1 port $OPENSMTPD_PLAIN hostname $host
# Its own delivery programs have compiled-in paths; Exim throws the mail away.
action "exim" relay host smtp://127.0.0.1:$EXIM_SMTP
match from any for domain test.example action "exim"
END
    # Takes few connections at once: the backlog of 5 is compiled in, just like
    # the paths outside DIR, /var/run/smtpd.sock and /var/spool/smtpd.
    spawn opensmtpd "$smtpd" -d -v -f "$dir/opensmtpd/smtpd.conf"
}

greets() { # PORT: sends the first line of a greeting
    local line
    (
        exec 3<>"/dev/tcp/127.0.0.1/$1"
        read -r -t 5 line <&3
        [[ $line == 220* ]]
    ) 2>/dev/null
}

start() {
    prepare "$1"
    local name
    ports_free $POSTFIX_SMTP $POSTFIX_AUTH $EXIM_AUTH $POSTFIX_SUBMISSION $POSTFIX_SUBMISSIONS $POSTFIX_POSTSCREEN \
        $EXIM_SMTP $EXIM_SUBMISSIONS $OPENSMTPD_SMTP $OPENSMTPD_SUBMISSIONS $OPENSMTPD_PLAIN
    install_all
    make_certs
    # From here on a failure must not leave half of the servers running.
    trap 'stop "$dir"' EXIT
    start_postfix
    start_dovecot
    start_exim
    start_opensmtpd
    for name in POSTFIX_SMTP POSTFIX_SUBMISSION POSTFIX_AUTH EXIM_SMTP EXIM_AUTH OPENSMTPD_SMTP; do
        wait_for $name tls_ok "${!name}" -starttls smtp
    done
    for name in POSTFIX_SUBMISSIONS EXIM_SUBMISSIONS OPENSMTPD_SUBMISSIONS; do
        wait_for $name tls_ok "${!name}"
    done
    for name in POSTFIX_POSTSCREEN OPENSMTPD_PLAIN; do
        wait_for $name greets "${!name}"
    done
    for name in ${!POSTFIX_*} ${!EXIM_*} ${!OPENSMTPD_*}; do
        put_env "$name" "${!name}"
    done
    put_env EXIM "$exim"
    put_env CA_FILE "$dir/certs/ca.pem"
    put_env SERVER_NAME $host
    put_env SMTP_USER $user
    put_env SMTP_PASSWORD $password
    put_env SMTP_TOKEN "$(token 86400)"
    put_env SMTP_TOKEN_EXPIRED "$(token -60)"
    trap - EXIT
}

stop() {
    dir=$1
    reap postfix dovecot exim-stderr opensmtpd
}

case ${1-}:$# in
    start:2) start "$2" ;;
    stop:2) stop "$2" ;;
    *) die "usage: servers.sh start|stop DIR" ;;
esac
