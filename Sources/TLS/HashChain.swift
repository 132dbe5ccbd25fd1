import COpenSSL
import CShims

/// Each link is the SHA-256 of the link before and of the lines that follow it, each with its LF: whoever
/// has the lines and one link can tell whether any of them was changed, left out or added since.
public enum HashChain {
    /// Before the first line.
    public static let origin = [UInt8](repeating: 0, count: 32)

    public static func link(after before: [UInt8], _ lines: some Sequence<[UInt8]>) -> [UInt8] {
        let context = EVP_MD_CTX_new()
        defer { EVP_MD_CTX_free(context) }
        guard EVP_DigestInit_ex(context, EVP_sha256(), nil) == 1 else { return [] }
        EVP_DigestUpdate(context, before, before.count)
        for line in lines {
            EVP_DigestUpdate(context, line, line.count)
            EVP_DigestUpdate(context, [0x0A], 1)
        }
        var out = [UInt8](repeating: 0, count: 32)
        return EVP_DigestFinal_ex(context, &out, nil) == 1 ? out : []
    }
}

/// The SHA-256 of what goes by.
public final class Digest {
    private let context = EVP_MD_CTX_new()

    public init() { EVP_DigestInit_ex(context, EVP_sha256(), nil) }

    deinit { EVP_MD_CTX_free(context) }

    public func add(_ bytes: [UInt8]) { EVP_DigestUpdate(context, bytes, bytes.count) }

    /// In hexadecimal; nothing may be added after that.
    public func finish() -> String {
        var out = [UInt8](repeating: 0, count: 32)
        guard EVP_DigestFinal_ex(context, &out, nil) == 1 else { return "" }
        return out.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}

/// An Ed25519 key that signs how far a log had come.
public struct SigningKey: ~Copyable {
    private let raw: OpaquePointer

    deinit { EVP_PKEY_free(raw) }

    private init(_ raw: OpaquePointer) { self.raw = raw }

    /// A fresh key.
    public static func make() throws(TLSFailure) -> SigningKey {
        guard let context = EVP_PKEY_CTX_new_id(EVP_PKEY_ED25519, nil) else {
            throw TLSFailure("making a key")
        }
        defer { EVP_PKEY_CTX_free(context) }
        var made: OpaquePointer?
        guard EVP_PKEY_keygen_init(context) == 1, EVP_PKEY_keygen(context, &made) == 1, let made
        else { throw TLSFailure("making a key") }
        return SigningKey(made)
    }

    /// Reads a private key (PEM).
    public init(privatePEM: [UInt8]) throws(TLSFailure) {
        self = try SigningKey.read(privatePEM, "the private key") {
            PEM_read_bio_PrivateKey($0, nil, nil, nil)
        }
    }

    /// Reads a public key (PEM), which can check and not sign.
    public init(publicPEM: [UInt8]) throws(TLSFailure) {
        self = try SigningKey.read(publicPEM, "the public key") {
            PEM_read_bio_PUBKEY($0, nil, nil, nil)
        }
    }

    private static func read(
        _ pem: [UInt8], _ what: String, _ read: (OpaquePointer) -> OpaquePointer?
    ) throws(TLSFailure) -> SigningKey {
        ERR_clear_error()
        guard let bio = BIO_new_mem_buf(pem, Int32(pem.count)) else {
            throw TLSFailure("reading \(what)")
        }
        defer { BIO_free(bio) }
        guard let found = read(bio) else { throw TLSFailure("reading \(what)") }
        guard EVP_PKEY_get_id(found) == EVP_PKEY_ED25519 else {
            EVP_PKEY_free(found)
            throw TLSFailure("reading \(what): it is no Ed25519 key")
        }
        return SigningKey(found)
    }

    private func written(_ write: (OpaquePointer) -> Int32) -> [UInt8] {
        guard let bio = BIO_new(BIO_s_mem()) else { return [] }
        defer { BIO_free(bio) }
        guard write(bio) == 1 else { return [] }
        let count = caravan_bio_pending(bio)
        return [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            filled = max(0, Int(BIO_read(bio, buffer.baseAddress, Int32(count))))
        }
    }

    public var privatePEM: [UInt8] {
        written { PEM_write_bio_PrivateKey($0, raw, nil, nil, 0, nil, nil) }
    }

    public var publicPEM: [UInt8] { written { PEM_write_bio_PUBKEY($0, raw) } }

    public func sign(_ message: [UInt8]) throws(TLSFailure) -> [UInt8] {
        let context = EVP_MD_CTX_new()
        defer { EVP_MD_CTX_free(context) }
        var length = 64
        var out = [UInt8](repeating: 0, count: length)
        ERR_clear_error()
        guard EVP_DigestSignInit(context, nil, nil, nil, raw) == 1,
            EVP_DigestSign(context, &out, &length, message, message.count) == 1, length == 64
        else { throw TLSFailure("signing") }
        return out
    }

    public func hasSigned(_ message: [UInt8], _ signature: [UInt8]) -> Bool {
        let context = EVP_MD_CTX_new()
        defer { EVP_MD_CTX_free(context) }
        ERR_clear_error()
        return EVP_DigestVerifyInit(context, nil, nil, nil, raw) == 1
            && EVP_DigestVerify(context, signature, signature.count, message, message.count) == 1
    }
}
