import ArgumentParser
import Client
import FoundationEssentials
import Glibc
import Host
import TLS
import Wire

/// What is shown to a server that speaks TLS.
struct CertificateOptions: ParsableArguments {
    @Option(name: .long, help: "Certificates of the authorities of a server that speaks TLS (PEM).")
    var ca: String?

    @Option(
        name: [.customLong("certificate"), .customLong("cert")],
        help: "The certificate to be shown, where there is one (PEM).")
    var certificate: String?

    @Option(name: .long, help: "The key of that (PEM).")
    var key: String?

    /// What is missing for an address; nil: nothing.
    func flaw(for address: String?) -> String? {
        guard let address, address.hasPrefix("tls:"), ca == nil else { return nil }
        return "\(address) needs an authority to trust: give it with --ca FILE"
    }

    func context() throws -> TLSContext? {
        try ca.map { authorities in
            let files = certificate.map { TLSFiles(certificateChain: $0, privateKey: key ?? "") }
            return try TLSContext(client: files, authorities: authorities)
        }
    }

    /// The words of a file that holds a token, and nothing else.
    static func token(in path: String) throws -> String {
        guard let text = try? String(contentsOfFile: path, encoding: .utf8) else {
            throw Failure("the token file \(path) cannot be read")
        }
        var entry = stat()
        if stat(path, &entry) == 0, entry.st_mode & 0o077 != 0 {
            Console.error("caravan: others may read the token in \(path): chmod 600 it")
        }
        return text.trimmed
    }
}

/// A daemon on this machine, by the folder that it lives in.
struct OwnFolderOption: ParsableArguments {
    @Option(name: .long, help: "The folder of the caravan up that is meant.")
    var dir: String?

    /// What was stated, or the folder's own socket.
    func address(_ kind: String, stated: String?) throws -> String? {
        guard let dir else { return stated }
        guard stated == nil else { throw Failure("\(stated ?? "") or --dir \(dir), not both") }
        let folder = try UpFolder(dir)
        guard FileManager.default.fileExists(atPath: folder.socket(kind)) else {
            throw Failure("no caravan up runs in \(folder.root)")
        }
        return folder.socket(kind)
    }
}

/// Where the output is read, and as whom.
struct ReaderOptions: ParsableArguments {
    @Option(
        name: .long,
        help:
            "The tail: host:port, tls:host:port, or the path of a Unix socket; 127.0.0.1:7611 otherwise."
    )
    var server: String?

    @Option(name: .long, help: "The consumer that reads, as it is enrolled.")
    var consumer: String?

    @Option(name: .long, help: "File with the consumer's token.")
    var consumerTokenFile: String?

    func validate() throws {
        if let flaw = server.flatMap(LineSocket.flaw(of:)) { throw ValidationError(flaw) }
    }

    func address(_ own: OwnFolderOption) throws -> String {
        try own.address("tail", stated: server) ?? "127.0.0.1:7611"
    }

    /// The token, read once.
    func token() throws -> String? {
        if consumerTokenFile != nil, consumer == nil {
            throw Failure("--consumer-token-file needs --consumer")
        }
        return try consumerTokenFile.map { try CertificateOptions.token(in: $0) }
    }

    /// As members of a tail's request.
    func write(_ token: String?, to out: inout JSONWriter) {
        out.field("consumer", consumer)
        out.field("token", token)
    }
}
