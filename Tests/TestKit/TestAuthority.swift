import Foundation
import TLS

/// A certificate authority of the tests' own, run by the openssl program.
public final class TestAuthority: Sendable {
    public let folder = ScratchFolder()

    public init() throws {
        for name in ["index.txt", "index.txt.attr"] { try write(name, "") }
        try write("serial", "1000\n")
        try write("crlnumber", "1000\n")
        try write(
            "ca.conf",
            """
            [ca]
            default_ca = own
            [own]
            dir = \(folder.path)
            database = $dir/index.txt
            new_certs_dir = $dir
            serial = $dir/serial
            crlnumber = $dir/crlnumber
            certificate = $dir/ca.pem
            private_key = $dir/ca.key
            default_md = sha256
            default_days = 2
            default_crl_days = 2
            policy = any
            copy_extensions = copy
            unique_subject = no
            [any]
            commonName = supplied
            """)
        try openssl([
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-keyout", path("ca.key"), "-out", authorities, "-days", "2", "-subj", "/CN=Test CA",
        ])
    }

    public func path(_ name: String) -> String { folder.path + "/" + name }

    public var authorities: String { path("ca.pem") }

    private func write(_ name: String, _ text: String) throws {
        try text.write(toFile: path(name), atomically: true, encoding: .utf8)
    }

    private func openssl(_ words: [String]) throws { _ = try Shell.run(["openssl"] + words) }

    /// A certificate with these subject alternative names, valid between two moments, in days from
    /// now.
    public func issue(
        _ name: String, names: String?, from: Double = -1, until: Double = 1
    ) throws -> TLSFiles {
        var request = [
            "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-keyout", path(name + ".key"), "-out", path(name + ".csr"), "-subj", "/CN=\(name)",
        ]
        if let names { request += ["-addext", "subjectAltName=\(names)"] }
        try openssl(request)
        try openssl([
            "ca", "-batch", "-notext", "-config", path("ca.conf"), "-in", path(name + ".csr"),
            "-out", path(name + ".pem"), "-startdate", TestAuthority.stamp(from), "-enddate",
            TestAuthority.stamp(until),
        ])
        return TLSFiles(certificateChain: path(name + ".pem"), privateKey: path(name + ".key"))
    }

    public func revoke(_ name: String) throws {
        try openssl(["ca", "-config", path("ca.conf"), "-revoke", path(name + ".pem")])
    }

    /// Writes the list of revoked certificates, good between two moments, in days from now.
    @discardableResult
    public func revocations(from: Double = -1, until: Double = 1) throws -> String {
        try openssl([
            "ca", "-gencrl", "-config", path("ca.conf"), "-out", path("crl.pem"),
            "-crl_lastupdate", TestAuthority.stamp(from), "-crl_nextupdate",
            TestAuthority.stamp(until),
        ])
        return path("crl.pem")
    }

    private static func stamp(_ days: Double) -> String {
        let format = DateFormatter()
        format.locale = Locale(identifier: "en_US_POSIX")
        format.timeZone = TimeZone(identifier: "UTC")
        format.dateFormat = "yyyyMMddHHmmss'Z'"
        return format.string(from: Date().addingTimeInterval(days * 86_400))
    }
}
