#ifndef CARAVAN_CSHIMS_H
#define CARAVAN_CSHIMS_H

#include <libpq-fe.h>
#include <sys/timex.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

// What Swift cannot import because it is a macro, as inline functions and constants.

static inline int caravan_pg_diag_sqlstate(void) { return PG_DIAG_SQLSTATE; }
static inline int caravan_pg_diag_primary(void) { return PG_DIAG_MESSAGE_PRIMARY; }
static inline int caravan_pg_diag_detail(void) { return PG_DIAG_MESSAGE_DETAIL; }
static inline int caravan_pg_diag_severity(void) { return PG_DIAG_SEVERITY_NONLOCALIZED; }

static inline int caravan_ssl_min_tls12(SSL_CTX *context) {
    return SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
}
static inline long caravan_ssl_set_modes(SSL_CTX *context) {
    return SSL_CTX_set_mode(
        context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                     SSL_MODE_RELEASE_BUFFERS);
}
static inline uint64_t caravan_ssl_set_options(SSL_CTX *context) {
    return SSL_CTX_set_options(
        context, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                     SSL_OP_CIPHER_SERVER_PREFERENCE);
}
static inline long caravan_ssl_no_session_cache(SSL_CTX *context) {
    return SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
}
static inline int caravan_ssl_groups_p256(SSL_CTX *context) {
    return SSL_CTX_set1_groups_list(context, "P-256:X25519");
}
static inline int caravan_ssl_set_host_name(SSL *ssl, const char *name) {
    return (int)SSL_set_tlsext_host_name(ssl, name);
}
// SSL_OP_NO_TICKET alone leaves TLS 1.3 its stateful tickets.
static inline int caravan_ssl_no_tickets(SSL_CTX *context) {
    return SSL_CTX_set_num_tickets(context, 0);
}
static inline long caravan_bio_eof_is_retry(BIO *bio) { return BIO_set_mem_eof_return(bio, -1); }
static inline size_t caravan_bio_pending(BIO *bio) { return BIO_ctrl_pending(bio); }
static inline int caravan_general_names_count(const GENERAL_NAMES *names) {
    return sk_GENERAL_NAME_num(names);
}
// The URI at `index`, or NULL where the name is of another kind.
static inline const ASN1_STRING *caravan_general_name_uri(const GENERAL_NAMES *names, int index) {
    const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, index);
    return name->type == GEN_URI ? name->d.uniformResourceIdentifier : NULL;
}
static inline int caravan_err_reason(unsigned long code) { return ERR_GET_REASON(code); }
static inline void caravan_general_names_free(GENERAL_NAMES *names) { GENERAL_NAMES_free(names); }

// 1: nothing keeps the clock right; 0: something does; -1: the kernel does not say.
static inline int caravan_clock_is_unsynchronised(void) {
    struct timex state = {0};
    if (adjtimex(&state) < 0) return -1;
    return (state.status & STA_UNSYNC) != 0;
}

#endif
