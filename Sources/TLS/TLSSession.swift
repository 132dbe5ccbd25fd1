import COpenSSL
import CShims

/// One TLS connection as a byte transformer: ciphertext in, plaintext out, and back, over memory
/// BIOs. It has no socket; whoever owns it moves the bytes.
public struct TLSSession: ~Copyable {
    public enum Role: Sendable {
        case server
        /// `hostName`: checked against the server's certificate.
        case client(hostName: String)
    }

    private let raw: OpaquePointer
    private let incoming: OpaquePointer
    private let outgoing: OpaquePointer
    public private(set) var isEstablished = false
    /// The peer has said that nothing more comes.
    public private(set) var isFinished = false

    public init(_ context: TLSContext, _ role: Role) throws(TLSFailure) {
        guard let made = SSL_new(context.raw), let read = BIO_new(BIO_s_mem()),
            let write = BIO_new(BIO_s_mem())
        else { throw TLSFailure("making a TLS session") }
        _ = caravan_bio_eof_is_retry(read)
        _ = caravan_bio_eof_is_retry(write)
        SSL_set_bio(made, read, write)
        raw = made
        incoming = read
        outgoing = write
        switch role {
        case .server: SSL_set_accept_state(made)
        case .client(let hostName):
            SSL_set_connect_state(made)
            _ = caravan_ssl_set_host_name(made, hostName)
            _ = SSL_set1_host(made, hostName)
        }
    }

    // Frees the BIOs too.
    deinit { SSL_free(raw) }

    /// Takes ciphertext from the peer and returns what plaintext it gives. Call `drain` afterwards:
    /// a handshake or an alert may want to be sent, also when this fails.
    public mutating func receive(_ bytes: UnsafeRawBufferPointer) throws(TLSFailure) -> [UInt8] {
        var at = 0
        while at < bytes.count {
            let part = min(bytes.count - at, Int(Int32.max))
            let taken = BIO_write(incoming, bytes.baseAddress?.advanced(by: at), Int32(part))
            guard taken > 0 else { throw TLSFailure("taking ciphertext") }
            at += Int(taken)
        }
        if !isEstablished {
            try handshake()
            guard isEstablished else { return [] }
        }
        return try read()
    }

    /// Goes on with the handshake; the client's side begins with this.
    public mutating func handshake() throws(TLSFailure) {
        guard !isEstablished else { return }
        ERR_clear_error()
        let done = SSL_do_handshake(raw)
        if done == 1 {
            isEstablished = true
            return
        }
        switch SSL_get_error(raw, done) {
        case SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE: return
        default: throw TLSFailure("the TLS handshake")
        }
    }

    /// Everything that can be decrypted now. OpenSSL may hold the first part of a record that came in
    /// pieces, counted nowhere, so only its own word that it wants more is the end.
    private mutating func read() throws(TLSFailure) -> [UInt8] {
        let session = raw
        var isOver = false
        var isBroken = false
        var plain: [UInt8] = []
        while !isOver {
            let room = caravan_bio_pending(incoming) + Int(SSL_pending(raw)) + TLSSession.record
            var wantsMore = false
            let piece = [UInt8](unsafeUninitializedCapacity: room) { buffer, count in
                while count < room {
                    ERR_clear_error()
                    var got = 0
                    let done = SSL_read_ex(
                        session, buffer.baseAddress?.advanced(by: count), room - count, &got)
                    count += got
                    if done == 1 { continue }
                    switch SSL_get_error(session, done) {
                    case SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE: wantsMore = true
                    case SSL_ERROR_ZERO_RETURN: isOver = true
                    default: isBroken = true
                    }
                    return
                }
            }
            if isBroken { throw TLSFailure("reading over TLS") }
            if isOver { isFinished = true }
            if plain.isEmpty { plain = piece } else { plain += piece }
            if wantsMore { break }
        }
        return plain
    }

    /// The most plaintext that one record holds, and then some.
    private static let record = 17 << 10

    /// Encrypts plaintext; `drain` gives the ciphertext.
    public mutating func send(_ bytes: UnsafeRawBufferPointer) throws(TLSFailure) {
        var at = 0
        while at < bytes.count {
            ERR_clear_error()
            var taken = 0
            let done = SSL_write_ex(
                raw, bytes.baseAddress?.advanced(by: at), bytes.count - at, &taken)
            guard done == 1 else { throw TLSFailure("writing over TLS") }
            at += taken
        }
    }

    /// Says that nothing more comes; `drain` gives the alert.
    public mutating func finish() {
        ERR_clear_error()
        SSL_shutdown(raw)
    }

    /// Ciphertext that wants to go to the peer.
    public mutating func drain() -> [UInt8] {
        let waiting = caravan_bio_pending(outgoing)
        guard waiting > 0 else { return [] }
        return [UInt8](unsafeUninitializedCapacity: waiting) { buffer, count in
            count = max(0, Int(BIO_read(outgoing, buffer.baseAddress, Int32(waiting))))
        }
    }

    /// The version in use, such as TLSv1.3.
    public var version: String { String(cString: SSL_get_version(raw)) }

    /// The one `urn:caravan:post:…` in the peer's subject alternative names; nil where there is
    /// none, or more than one: a certificate names one post.
    public var peerPost: String? { peer("urn:caravan:post:") }

    /// The same of a consumer, `urn:caravan:consumer:…`.
    public var peerConsumer: String? { peer("urn:caravan:consumer:") }

    private func peer(_ prefix: String) -> String? {
        guard let certificate = SSL_get1_peer_certificate(raw) else { return nil }
        defer { X509_free(certificate) }
        let found = X509_get_ext_d2i(certificate, NID_subject_alt_name, nil, nil)
        guard let names = found.map({ OpaquePointer($0) }) else { return nil }
        defer { caravan_general_names_free(names) }
        var posts: [String] = []
        for index in 0..<caravan_general_names_count(names) {
            guard let uri = caravan_general_name_uri(names, index),
                let start = ASN1_STRING_get0_data(uri)
            else { continue }
            let length = Int(ASN1_STRING_length(uri))
            let text = String(
                decoding: UnsafeBufferPointer(start: start, count: length), as: UTF8.self)
            if text.hasPrefix(prefix) { posts.append(String(text.dropFirst(prefix.count))) }
        }
        return posts.count == 1 ? posts[0] : nil
    }
}
