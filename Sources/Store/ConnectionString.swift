import CLibPQ
import FoundationEssentials
import Host
import Tracking

/// What libpq is told of where the database is: a URI, or `key=value` pairs.
public struct ConnectionString: Sendable {
    public struct Flaw: Error, CustomStringConvertible {
        public let description: String
    }

    private var options: [(key: String, value: String)] = []
    private let stated: String

    /// Nothing of it is in an error, since a password may be.
    public init(_ text: String) throws(Flaw) {
        stated = text
        var cause: UnsafeMutablePointer<CChar>?
        guard let parsed = PQconninfoParse(text, &cause) else {
            if let cause { PQfreemem(cause) }
            throw Flaw(description: "database.url is no connection string of libpq, nor a URI")
        }
        defer { PQconninfoFree(parsed) }
        // Else libpq would name it, and it is a part of the password.
        let mixedUp = Flaw(
            description: "database.url: its host or port cannot be one. In a URI / @ : and % of a "
                + "password are written %2F %40 %3A %25; or put it into database.password-file")
        var at = parsed
        while let key = at.pointee.keyword {
            if let value = at.pointee.val {
                let (key, value) = (String(cString: key), String(cString: value))
                if key == "port", value.contains(where: { !$0.isNumber && $0 != "," }) {
                    throw mixedUp
                }
                // At the beginning it names a socket that is no file.
                if key == "host",
                    value.split(separator: ",").contains(where: { $0.dropFirst().contains("@") })
                {
                    throw mixedUp
                }
                options.append((key, value))
            }
            at += 1
        }
    }

    /// With the password that stands in a file; "": as it is.
    public func with(passwordFile: String) throws(Flaw) -> String {
        if passwordFile.isEmpty { return stated }
        guard let text = try? String(contentsOfFile: passwordFile, encoding: .utf8) else {
            throw Flaw(description: "database.password-file \(passwordFile) cannot be read")
        }
        let password = text.prefix { $0 != "\n" && $0 != "\r\n" }
        guard !password.isEmpty else {
            throw Flaw(description: "database.password-file \(passwordFile) holds no password")
        }
        return ConnectionString.text(
            options.filter { $0.key != "password" } + [("password", String(password))])
    }

    public var holdsPassword: Bool { options.contains { $0.key == "password" } }

    private static func text(_ options: [(key: String, value: String)]) -> String {
        options.map { key, value in
            let isPlain =
                !value.isEmpty
                && value.allSatisfy { $0.isLetter || $0.isNumber || "/._-:,".contains($0) }
            if isPlain { return "\(key)=\(value)" }
            let escaped = value.replacing("\\", with: "\\\\").replacing("'", with: "\\'")
            return "\(key)='\(escaped)'"
        }.joined(separator: " ")
    }
}
