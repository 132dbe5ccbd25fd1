import ArgumentParser
import Daemon
import FoundationEssentials
import Host
import Settings

/// Writes the man pages from what the programs say of themselves, so that they cannot differ from it.
struct Manual: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Write the man pages caravan.1, caravan.yaml.5 and caravand.8 into a folder.",
        shouldDisplay: false)

    @Argument(help: "The folder.") var folder: String

    func run() throws {
        for (name, page) in try Manual.pages() {
            try ByteFile(writing: folder + "/" + name).write(page.utf8)
        }
    }

    /// The pages by their files' names.
    static func pages() throws -> [(name: String, text: String)] {
        let tool = try ProgramHelp(dump: Caravan._dumpHelp())
        let daemon = try ProgramHelp(dump: DaemonCommand._dumpHelp())
        return [
            ("caravan.1", toolPage(tool)), ("caravan.yaml.5", settingsPage()),
            ("caravand.8", daemonPage(daemon)),
        ]
    }

    // MARK: Pages

    private static func toolPage(_ tool: ProgramHelp) -> String {
        var page = ManPage("caravan", section: 1, tool.abstract)
        page.section("SYNOPSIS")
        page.bold("caravan", "COMMAND [OPTION]...")
        page.section("DESCRIPTION")
        page.paragraph(
            "Container tracking: sends feed lines, follows the output, shows journeys, enrols posts, "
                + "brings databases up to date, looks for what is wrong, plays traffic.")
        page.section("COMMANDS")
        for command in tool.subcommands where command.isShown {
            describe(command, "caravan", &page)
        }
        page.section("EXAMPLES")
        page.verbatim(tool.examples)
        page.section("EXIT STATUS")
        page.tagged("0", "All went well.")
        page.tagged(
            "1", "It did not; stderr says what, and the command's own part here what else it means."
        )
        page.tagged("2", "The command line is wrong.")
        page.section("FILES")
        page.tagged("/etc/caravan/caravan.yaml", "The configuration, see caravan.yaml(5).")
        page.tagged("./caravan-data", "What caravan up keeps, where no other folder is named.")
        page.section("SEE ALSO")
        page.paragraph("caravand(8), caravan.yaml(5)")
        return page.text
    }

    private static func describe(
        _ command: ProgramHelp, _ parent: String, _ page: inout ManPage
    ) {
        let name = parent + " " + command.name
        page.subsection(name + command.usage)
        page.paragraph(command.abstract)
        for text in command.description { page.paragraph(text) }
        for argument in command.arguments where argument.isShown {
            page.tagged(argument.spelling, argument.words)
        }
        if !command.examples.isEmpty {
            page.paragraph("Examples:")
            page.verbatim(command.examples)
        }
        for inner in command.subcommands where inner.isShown { describe(inner, name, &page) }
    }

    private static func settingsPage() -> String {
        var page = ManPage("caravan.yaml", section: 5, "Configuration of caravand.")
        page.section("DESCRIPTION")
        page.paragraph(
            "Keys over keys by indentation, one-line values, lists in brackets or one item a line, "
                + "comments behind #: that much of YAML. What else YAML knows is refused with its line, "
                + "and so are unknown keys and values outside the range.")
        page.paragraph(
            "The files conf.d/*.yaml beside the configuration are read after it, in the order of their "
                + "names; of two that say the same the later wins. A variable of the environment wins "
                + "over files, a flag --set KEY=VALUE over all.")
        page.paragraph(
            "Settings marked (reload) count from the next SIGHUP on, the others from the next start on."
        )
        page.section("SETTINGS")
        var group: Substring = ""
        for setting in Setting.all {
            let own = setting.key.prefix { $0 != "." }
            if own != group { page.subsection(String(own)) }
            group = own
            let fallback = setting.fallback.isEmpty ? "empty" : setting.fallback
            page.tagged(
                setting.key + (setting.isReloaded ? " (reload)" : ""),
                "\(setting.purpose). Allowed: \(setting.allowed). Default: \(fallback). "
                    + "Variable: \(setting.variable).")
        }
        page.section("FILES")
        page.tagged("/etc/caravan/caravan.yaml", "The configuration.")
        page.tagged("/etc/caravan/conf.d/*.yaml", "Fragments, which win over it.")
        page.section("SEE ALSO")
        page.paragraph("caravand(8), caravan(1)")
        return page.text
    }

    private static func daemonPage(_ daemon: ProgramHelp) -> String {
        var page = ManPage("caravand", section: 8, daemon.abstract)
        page.section("SYNOPSIS")
        page.bold("caravand", daemon.usage.trimmed)
        page.section("DESCRIPTION")
        for text in daemon.description { page.paragraph(text) }
        page.section("OPTIONS")
        for argument in daemon.arguments where argument.isShown {
            page.tagged(argument.spelling, argument.words)
        }
        page.section("SIGNALS")
        page.tagged("SIGHUP", "Read configuration, network, certificates and posts anew.")
        page.tagged("SIGTERM, SIGINT", "Stop reading, commit, acknowledge, say so, and end.")
        page.section("ENVIRONMENT")
        page.tagged("CARAVAN_...", "Settings, see caravan.yaml(5).")
        page.tagged(
            "NOTIFY_SOCKET, WATCHDOG_USEC, LISTEN_FDS",
            "As systemd sets them. Sockets that are handed over are matched by their addresses.")
        page.tagged("JOURNAL_STREAM", "Where stderr is the journal's, lines begin with a priority.")
        page.section("EXIT STATUS")
        page.tagged("0", "It was told to stop.")
        page.tagged("1", "It could not go on, and no trying would mend it; the last words say why.")
        page.tagged("2", "The configuration is not good.")
        page.section("FILES")
        page.tagged("/etc/caravan/caravan.yaml", "The configuration.")
        page.tagged("/etc/caravan/certs", "Certificates and keys, readable by the group caravan.")
        page.tagged("/run/caravan", "The Unix sockets, the lock, the figures (metrics.prom).")
        page.tagged("/var/lib/caravan", "How far the log was seen.")
        page.section("EXAMPLES")
        page.verbatim(daemon.examples)
        page.section("SEE ALSO")
        page.paragraph("caravan(1), caravan.yaml(5), systemd.unit(5)")
        return page.text
    }
}

/// What a command says of itself, as `--experimental-dump-help` has it.
struct ProgramHelp {
    struct Argument: Decodable {
        struct Name: Decodable {
            let kind: String
            let name: String

            var spelling: String { kind == "long" ? "--\(name)" : "-\(name)" }
        }

        let kind: String
        let names: [Name]?
        let valueName: String?
        let abstract: String?
        let defaultValue: String?
        let shouldDisplay: Bool
        let isOptional: Bool
        let isRepeating: Bool

        var isShown: Bool { shouldDisplay && valueName != "help" && valueName != "version" }

        var spelling: String {
            let value = (valueName ?? "value").uppercased()
            guard kind != "positional" else { return value }
            let all = (names ?? []).map(\.spelling).joined(separator: ", ")
            return kind == "flag" ? all : all + " " + value
        }

        var words: String {
            let stated = defaultValue.map { " Default: \($0)." } ?? ""
            return (abstract ?? "") + stated
        }

        fileprivate var usage: String {
            let shown =
                names?.isEmpty == false && kind == "flag" ? names?.last?.spelling ?? "" : spelling
            return isOptional ? "[\(shown)]" : shown
        }
    }

    private struct Dump: Decodable {
        let command: Command

        struct Command: Decodable {
            let commandName: String
            let abstract: String?
            let discussion: String?
            let arguments: [Argument]?
            let subcommands: [Command]?
            let shouldDisplay: Bool?
        }
    }

    let name: String
    let abstract: String
    /// Paragraphs.
    let description: [String]
    let examples: String
    let arguments: [Argument]
    let subcommands: [ProgramHelp]
    let isShown: Bool

    init(dump: String) throws {
        self.init(try JSONDecoder().decode(Dump.self, from: Data(dump.utf8)).command)
    }

    private init(_ command: Dump.Command) {
        name = command.commandName
        abstract = command.abstract ?? ""
        let paragraphs = ProgramHelp.paragraphs(command.discussion ?? "")
        description = paragraphs.filter { !$0.hasPrefix("EXAMPLES\n") }
        examples =
            paragraphs.first { $0.hasPrefix("EXAMPLES\n") }.map { String($0.dropFirst(9)) } ?? ""
        arguments = command.arguments ?? []
        subcommands = (command.subcommands ?? []).map(ProgramHelp.init)
        isShown = command.shouldDisplay != false && name != "help"
    }

    private static func paragraphs(_ text: String) -> [String] {
        var all: [[Substring]] = [[]]
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            if line.allSatisfy(\.isWhitespace) {
                all.append([])
            } else {
                all[all.count - 1].append(line)
            }
        }
        return all.filter { !$0.isEmpty }.map { $0.joined(separator: "\n") }
    }

    var usage: String {
        arguments.filter(\.isShown).map { " " + $0.usage }.joined()
    }
}

/// A page in the man macros of roff.
struct ManPage {
    private(set) var text: String

    init(_ name: String, section: Int, _ abstract: String) {
        let said = abstract.last == "." ? String(abstract.dropLast()) : abstract
        let lower = said.prefix(1).lowercased() + said.dropFirst()
        text = """
            .TH "\(name.uppercased())" \(section) "" "\(Version.text)" "Caravan"
            .SH NAME
            \(ManPage.escaped(name)) \\- \(ManPage.escaped(lower))

            """
    }

    mutating func section(_ title: String) { text += ".SH \(title)\n" }

    mutating func subsection(_ title: String) { text += ".SS \"\(ManPage.escaped(title))\"\n" }

    mutating func bold(_ name: String, _ rest: String) {
        text += "\\fB\(ManPage.escaped(name))\\fR \(ManPage.escaped(rest))\n"
    }

    mutating func paragraph(_ words: String) { text += ".PP\n\(lines(words))\n" }

    mutating func tagged(_ tag: String, _ words: String) {
        text += ".TP\n\\fB\(ManPage.escaped(tag))\\fR\n\(lines(words))\n"
    }

    mutating func verbatim(_ words: String) {
        text += ".PP\n.nf\n\(lines(words))\n.fi\n"
    }

    private func lines(_ words: String) -> String {
        words.split(separator: "\n", omittingEmptySubsequences: false).map {
            ManPage.escaped(String($0))
        }.joined(separator: "\n")
    }

    /// A backslash and a hyphen mean something in roff, a dot or a quote at the beginning of a line too.
    static func escaped(_ text: String) -> String {
        let safe = text.replacing("\\", with: "\\e").replacing("-", with: "\\-")
            .replacing("\"", with: "\\(dq")
        return safe.first == "." || safe.first == "'" ? "\\&" + safe : safe
    }
}
