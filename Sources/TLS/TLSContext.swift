import COpenSSL
import CShims

/// What OpenSSL refused: the operation, and the reasons on its error queue.
public struct TLSFailure: Error, Sendable, CustomStringConvertible {
    public let description: String
    /// What to do about it, where waiting does not mend it; nil where it may pass.
    public let advice: String?

    init(_ operation: String) {
        var reasons: [String] = []
        var advice: String?
        while true {
            let code = ERR_get_error()
            if code == 0 { break }
            advice = advice ?? TLSFailure.advice(reason: caravan_err_reason(code))
            // What the system refused has the highest bit and errno (err.h).
            let isSystem = code & 0x8000_0000 != 0
            reasons.append(
                isSystem
                    ? String(cString: strerror(Int32(truncatingIfNeeded: code & 0x7FFF_FFFF)))
                    : ERR_reason_error_string(code).map { String(cString: $0) } ?? "\(code)")
        }
        self.advice = advice
        description = operation + (reasons.isEmpty ? "" : ": " + reasons.joined(separator: "; "))
    }
}

extension TLSFailure {
    /// By OpenSSL's reason codes (sslerr.h): alerts that name a certificate, and checks that fail.
    private static func advice(reason: Int32) -> String? {
        switch reason {
        case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED, SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
            "the server wants a certificate: give it with --certificate and --key"
        case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
            "the server does not know the authority of this certificate: have it signed by one that "
                + "stands in its tls.client-authorities"
        case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
            "this certificate has expired: have a new one made"
        case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED: "this certificate has been revoked"
        case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE, SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE,
            SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN, SSL_R_TLSV1_ALERT_ACCESS_DENIED,
            SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE, SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
            "the server does not take this certificate, or this version of TLS: its log says why"
        case SSL_R_CERTIFICATE_VERIFY_FAILED:
            "the server's certificate is not one that --ca vouches for, under the name that was "
                + "asked for: check --ca, --server and the server's certificate"
        case SSL_R_WRONG_VERSION_NUMBER:
            "that port does not speak TLS: is it the plain feed? Then leave tls: away"
        default: nil
        }
    }
}

/// Files that a TLS endpoint works with, all PEM.
public struct TLSFiles: Sendable {
    public var certificateChain: String
    public var privateKey: String
    /// Whose clients are let in; nil: no client certificate is asked for.
    public var clientAuthorities: String?
    /// Revoked certificates of those authorities; checked, and fail-closed, where it is given.
    public var revocations: String?

    public init(
        certificateChain: String, privateKey: String, clientAuthorities: String? = nil,
        revocations: String? = nil
    ) {
        self.certificateChain = certificateChain
        self.privateKey = privateKey
        self.clientAuthorities = clientAuthorities
        self.revocations = revocations
    }
}

/// An SSL_CTX with the house's settings: TLS 1.2 and 1.3 only, no tickets, no resumption, no
/// renegotiation, no compression. Immutable once made; a reload makes a new one.
public final class TLSContext: @unchecked Sendable {
    // SSL_CTX is reference-counted and, once set up, safe to use from many threads.
    let raw: OpaquePointer
    /// Until when its files are good.
    public let validity: TLSValidity?

    /// The server's side.
    public init(server files: TLSFiles) throws(TLSFailure) {
        raw = try TLSContext.make(TLS_server_method())
        validity = TLSValidity(files: files)
        try TLSContext.identify(raw, files)
        guard let authorities = files.clientAuthorities else { return }
        guard SSL_CTX_load_verify_locations(raw, authorities, nil) == 1 else {
            throw TLSFailure("reading the client authorities \(authorities)")
        }
        SSL_CTX_set_client_CA_list(raw, SSL_load_client_CA_file(authorities))
        SSL_CTX_set_verify(raw, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nil)
        if let revocations = files.revocations { try TLSContext.check(raw, revocations) }
    }

    /// The client's side, for tools and tests; `authorities` are those whose servers it trusts.
    public init(client files: TLSFiles?, authorities: String) throws(TLSFailure) {
        raw = try TLSContext.make(TLS_client_method())
        validity = nil
        if let files { try TLSContext.identify(raw, files) }
        guard SSL_CTX_load_verify_locations(raw, authorities, nil) == 1 else {
            throw TLSFailure("reading the authorities \(authorities)")
        }
        SSL_CTX_set_verify(raw, SSL_VERIFY_PEER, nil)
    }

    deinit { SSL_CTX_free(raw) }

    private static func make(_ method: OpaquePointer?) throws(TLSFailure) -> OpaquePointer {
        ERR_clear_error()
        guard let made = SSL_CTX_new(method) else { throw TLSFailure("making a TLS context") }
        _ = caravan_ssl_min_tls12(made)
        _ = caravan_ssl_set_modes(made)
        _ = caravan_ssl_set_options(made)
        _ = caravan_ssl_no_session_cache(made)
        _ = caravan_ssl_no_tickets(made)
        _ = caravan_ssl_groups_p256(made)
        return made
    }

    private static func identify(
        _ context: OpaquePointer, _ files: TLSFiles
    ) throws(TLSFailure) {
        guard SSL_CTX_use_certificate_chain_file(context, files.certificateChain) == 1 else {
            throw TLSFailure("reading the certificate \(files.certificateChain)")
        }
        guard SSL_CTX_use_PrivateKey_file(context, files.privateKey, SSL_FILETYPE_PEM) == 1,
            SSL_CTX_check_private_key(context) == 1
        else { throw TLSFailure("reading the key \(files.privateKey)") }
    }

    private static func check(
        _ context: OpaquePointer, _ revocations: String
    ) throws(TLSFailure) {
        guard let store = SSL_CTX_get_cert_store(context),
            let lookup = X509_STORE_add_lookup(store, X509_LOOKUP_file()),
            X509_load_crl_file(lookup, revocations, SSL_FILETYPE_PEM) > 0
        else { throw TLSFailure("reading the revocations \(revocations)") }
        // Of every authority in the chain there must be a list: one that is missing refuses.
        X509_STORE_set_flags(store, UInt(X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL))
    }
}
