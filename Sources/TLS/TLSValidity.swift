import COpenSSL
import CShims

/// Until when a TLS endpoint's files are good, in seconds since 1970; nil where there is no such file.
public struct TLSValidity: Sendable, Equatable {
    /// The end of the daemon's own certificate.
    public var certificateEnds: Int64?
    /// The earliest end among the authorities whose clients are let in.
    public var authoritiesEnd: Int64?
    /// The earliest time by which a list of revoked certificates wants a newer one.
    public var revocationsEnd: Int64?

    init(files: TLSFiles) {
        certificateEnds = TLSValidity.certificates(files.certificateChain).first
        authoritiesEnd = files.clientAuthorities.flatMap { TLSValidity.certificates($0).min() }
        revocationsEnd = files.revocations.flatMap { TLSValidity.revocations($0).min() }
    }

    /// The ends of a PEM file's certificates, in the order in which they stand.
    public static func certificates(_ path: String) -> [Int64] {
        read(path) { bio in
            guard let certificate = PEM_read_bio_X509(bio, nil, nil, nil) else { return nil }
            defer { X509_free(certificate) }
            return seconds(X509_get0_notAfter(certificate))
        }
    }

    private static func revocations(_ path: String) -> [Int64] {
        read(path) { bio in
            guard let list = PEM_read_bio_X509_CRL(bio, nil, nil, nil) else { return nil }
            defer { X509_CRL_free(list) }
            return seconds(X509_CRL_get0_nextUpdate(list))
        }
    }

    private static func read(_ path: String, _ next: (OpaquePointer) -> Int64?) -> [Int64] {
        guard let bio = BIO_new_file(path, "r") else {
            ERR_clear_error()
            return []
        }
        defer { BIO_free(bio) }
        var ends: [Int64] = []
        while let end = next(bio) { ends.append(end) }
        // The end of the file is an error to OpenSSL, and the next call's it must not be.
        ERR_clear_error()
        return ends
    }

    private static func seconds(_ time: UnsafePointer<ASN1_TIME>?) -> Int64? {
        var civil = tm()
        guard let time, ASN1_TIME_to_tm(time, &civil) == 1 else { return nil }
        return Int64(timegm(&civil))
    }
}
