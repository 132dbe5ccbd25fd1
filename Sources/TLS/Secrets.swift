import COpenSSL

/// Hashing and comparing of tokens, by OpenSSL.
public enum Secrets {
    /// A fresh token: 32 random bytes in hexadecimal.
    public static func token() throws(TLSFailure) -> String {
        var bytes = [UInt8](repeating: 0, count: 32)
        guard RAND_bytes(&bytes, Int32(bytes.count)) == 1 else {
            throw TLSFailure("drawing random bytes")
        }
        return bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    /// SHA-256. A token has 256 random bits, so it needs neither salt nor stretching.
    public static func hash(_ text: String) -> [UInt8] {
        let bytes = Array(text.utf8)
        var out = [UInt8](repeating: 0, count: Int(SHA256_DIGEST_LENGTH))
        SHA256(bytes, bytes.count, &out)
        return out
    }

    /// Compares in a time that does not tell where the two differ.
    public static func areEqual(_ a: [UInt8], _ b: [UInt8]) -> Bool {
        a.count == b.count && CRYPTO_memcmp(a, b, a.count) == 0
    }
}
