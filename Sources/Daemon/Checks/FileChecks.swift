import FoundationEssentials
import Glibc
import Settings
import Sinks
import Store
import TLS
import Tracking
import Wire

/// Looks at what the configuration names: files, their rights, certificates, the network, disks.
struct FileChecks {
    let plan: DaemonPlan
    /// The configuration itself, where it is a file.
    let file: String?
    let now: Instant

    /// Days before the end of a certificate from which on it is worth a word.
    static let certificateDays = 21.0
    /// And of a list of revoked certificates, which is made anew more often.
    static let revocationsDays = 2.0

    func run() -> [Finding] {
        var found = secrets()
        found += certificates()
        let network = plan.network.network
        let name = plan.settings.text("network.file")
        found.append(
            Finding(
                .good, "network",
                "\(name.isEmpty ? "the shipped Silk Road" : name): \(network.places.count) places, "
                    + "\(network.legs.count) legs"))
        for folder in Set([plan.runFolder, plan.stateFolder].filter { !$0.isEmpty }).sorted() {
            found += FileChecks.folder(folder)
        }
        if let folder = plan.output?.folder { found += FileChecks.output(folder) }
        if let figures = plan.metricsFile {
            let folder = figures.lastIndex(of: "/").map { String(figures[..<$0]) } ?? "."
            // The run folder is made by the daemon itself.
            if folder != plan.runFolder, !FileChecks.isFolder(folder.isEmpty ? "/" : folder) {
                found.append(
                    Finding(
                        .bad, "figures",
                        "\(figures) cannot be written: there is no folder \(folder)",
                        advice: "make it, or change metrics.file"))
            }
        } else {
            found.append(
                Finding(.good, "figures", "are written nowhere, as metrics.file has it"))
        }
        return found
    }

    /// Files that are meant to stay lie on a disk, and not in a service's own /tmp.
    private static func output(_ folder: String) -> [Finding] {
        let isTemporary = ["/tmp/", "/var/tmp/", "/run/"].contains { folder.hasPrefix($0) }
        if isTemporary {
            return [
                Finding(
                    .note, "output files",
                    "\(folder) is emptied at a restart of the machine or the service",
                    advice: "set output.files to a folder such as /var/lib/caravan/output")
            ]
        }
        var entry = stat()
        if stat(folder, &entry) == 0, entry.st_mode & S_IFMT != S_IFDIR {
            return [
                Finding(
                    .bad, "output files", "\(folder) is no folder",
                    advice: "set output.files to one")
            ]
        }
        let parent = folder.lastIndex(of: "/").map { String(folder[..<$0]) } ?? "."
        guard isFolder(folder) || isFolder(parent.isEmpty ? "/" : parent) else {
            return [
                Finding(
                    .bad, "output files", "\(folder) cannot be made: there is no folder \(parent)",
                    advice: "make it, or change output.files")
            ]
        }
        return [Finding(.good, "output files", folder)] + space(folder, "disk")
    }

    private static func isFolder(_ path: String) -> Bool {
        var entry = stat()
        return stat(path, &entry) == 0 && entry.st_mode & S_IFMT == S_IFDIR
    }

    // MARK: Rights

    private func secrets() -> [Finding] {
        var found: [Finding] = []
        let url = plan.settings.text("database.url")
        let holdsPassword = (try? ConnectionString(url))?.holdsPassword == true
        for path in file.map({ [$0] + Settings.fragments(of: $0) }) ?? [] where holdsPassword {
            // Of the files the one that says it.
            guard (try? String(contentsOfFile: path, encoding: .utf8))?.contains(url) == true else {
                continue
            }
            if let finding = FileChecks.secret(
                path, "configuration", "it holds the database's password")
            {
                found.append(finding)
            }
        }
        let password = plan.settings.text("database.password-file")
        if !password.isEmpty,
            let finding = FileChecks.secret(password, "password", "it is the password")
        {
            found.append(finding)
        }
        if let key = plan.tls?.privateKey,
            let finding = FileChecks.secret(key, "key", "it is the daemon's private key")
        {
            found.append(finding)
        }
        return found
    }

    /// A file that only its owner and its group should be able to read; nil: that is so.
    static func secret(_ path: String, _ subject: String, _ why: String) -> Finding? {
        var entry = stat()
        guard stat(path, &entry) == 0 else {
            return Finding(
                .bad, subject, "\(path): \(String(cString: strerror(errno)))",
                advice: "put it there, or change the setting that names it")
        }
        if entry.st_mode & 0o007 != 0 {
            return Finding(
                .bad, subject, "everybody on this machine may read \(path), and \(why)",
                advice: "chmod o-rwx \(path)")
        }
        if entry.st_mode & 0o020 != 0 {
            return Finding(
                .note, subject, "its group may change \(path), and \(why)",
                advice: "chmod g-w \(path)")
        }
        return nil
    }

    // MARK: Certificates

    private func certificates() -> [Finding] {
        guard let files = plan.tls else { return [] }
        let validity: TLSValidity?
        do { validity = try TLSContext(server: files).validity } catch {
            return [
                Finding(
                    .bad, "certificate", error.description,
                    advice: error.advice ?? "see tls.certificate and tls.key, and who may read them"
                )
            ]
        }
        guard let validity else { return [] }
        var found: [Finding] = []
        func judge(
            _ end: Int64?, _ subject: String, _ path: String?, _ days: Double, _ advice: String
        ) {
            guard let end else { return }
            let at = Instant(microseconds: end * 1_000_000)
            let left = at.minutes(since: now) / 1_440
            let when = TimeText.string(at)
            if left < 0 {
                found.append(
                    Finding(.bad, subject, "\(path ?? "") ended on \(when)", advice: advice))
            } else if left < days {
                found.append(
                    Finding(
                        .note, subject, "\(path ?? "") ends in \(Int(left)) days, on \(when)",
                        advice: advice))
            } else {
                found.append(Finding(.good, subject, "\(path ?? "") is good until \(when)"))
            }
        }
        let renew = "put a newer one in its place and reload the daemon: no connection is lost"
        judge(
            validity.certificateEnds, "certificate", files.certificateChain,
            FileChecks.certificateDays, renew)
        judge(
            validity.authoritiesEnd, "authorities", files.clientAuthorities,
            FileChecks.certificateDays, renew)
        judge(
            validity.revocationsEnd, "revocations", files.revocations, FileChecks.revocationsDays,
            renew + ". Past its time nobody is let in by certificate")
        return found
    }

    // MARK: Disks

    /// Bytes under which a disk is as good as full.
    static let leastBytes = 1 << 30

    static func folder(_ path: String) -> [Finding] {
        var entry = stat()
        guard stat(path, &entry) == 0 else {
            return [
                Finding(
                    .note, "folder", "\(path) is not there yet",
                    advice: "the daemon makes it where its account may; systemd makes its own")
            ]
        }
        var found: [Finding] = []
        if entry.st_mode & 0o022 != 0 {
            found.append(
                Finding(
                    .bad, "folder", "others may change what is in \(path): the daemon refuses it",
                    advice: "chmod go-w \(path)"))
        }
        return found + space(path, "disk")
    }

    static func space(_ path: String, _ subject: String) -> [Finding] {
        var disk = statvfs()
        guard statvfs(path, &disk) == 0 else { return [] }
        let free = Int(clamping: disk.f_bavail &* disk.f_frsize)
        let all = Int(clamping: disk.f_blocks &* disk.f_frsize)
        let words = "\(size(free)) of \(size(all)) are free where \(path) lies"
        let isLow = free < leastBytes || Double(free) < 0.05 * Double(all)
        return [
            Finding(
                free < leastBytes / 8 ? .bad : isLow ? .note : .good, subject, words,
                advice: isLow ? "make room: a full disk stops the feed, and loses nothing" : nil)
        ]
    }

    static func size(_ bytes: Int) -> String {
        for (unit, name) in [(1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB")]
        where bytes >= unit {
            return "\((Double(bytes) / Double(unit) * 10).rounded() / 10) \(name)"
        }
        return "\(bytes / 1_024) KiB"
    }
}
