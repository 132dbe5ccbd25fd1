import Configuration
import Engine
import FoundationEssentials
import Glibc
import Tracking

/// A configuration that cannot be used: which key, what it says, what is allowed.
public struct SettingsFlaw: Error, CustomStringConvertible {
    public let description: String

    init(_ description: String) { self.description = description }
}

/// The settings in force: flags over environment over file over defaults.
public struct Settings: Sendable {
    private var integers: [String: Int] = [:]
    private var numbers: [String: Double] = [:]
    private var texts: [String: String] = [:]
    private var lists: [String: [String]] = [:]
    /// What is not right and does no harm.
    public private(set) var warnings: [String] = []
    /// The settings that are not left to their default.
    public private(set) var stated: Set<String> = []

    /// Reads every setting. `overrides` are `key=value` from flags; unknown keys are errors
    /// wherever they stand.
    public static func load(
        file: String?, overrides: [String], environment: [String: String]
    ) async throws -> Settings {
        let known = Dictionary(uniqueKeysWithValues: Setting.all.map { ($0.key, $0) })
        var stated: Set<String> = []
        var warnings: [String] = []
        var layers: [any ConfigProvider] = []
        var flags: [AbsoluteConfigKey: ConfigValue] = [:]
        for override in overrides {
            let parts = override.split(separator: "=", maxSplits: 1).map(String.init)
            guard parts.count == 2 else {
                throw SettingsFlaw("--set takes key=value, not '\(override)'")
            }
            guard let setting = known[parts[0]] else {
                throw unknown(parts[0], known, "the command line")
            }
            stated.insert(parts[0])
            flags[AbsoluteConfigKey(parts[0].split(separator: ".").map(String.init))] =
                ConfigValue(try content(setting, parts[1]), isSecret: false)
        }
        layers.append(InMemoryProvider(name: "flags", values: flags))
        // CARAVAN_TEST_… speaks to the tests, whose processes hand it on.
        let ours = environment.filter {
            $0.key.hasPrefix("CARAVAN_") && !$0.key.hasPrefix("CARAVAN_TEST_")
        }
        let variables = Dictionary(uniqueKeysWithValues: Setting.all.map { ($0.variable, $0.key) })
        for name in ours.keys.sorted() {
            guard let key = variables[name] else {
                let words = "the environment sets \(name), which is no setting"
                guard let near = near(name, known) else {
                    warnings.append(words)
                    continue
                }
                throw SettingsFlaw("\(words); did you mean \(near.variable)?")
            }
            stated.insert(key)
        }
        layers.append(
            EnvironmentVariablesProvider(environmentVariables: ours).prefixKeys(with: "caravan"))
        if let file {
            let values = try values(inFile: file, known)
            stated.formUnion(values.keys)
            layers.append(
                InMemoryProvider(
                    name: "file",
                    values: Dictionary(
                        uniqueKeysWithValues: values.map {
                            (
                                AbsoluteConfigKey($0.key.split(separator: ".").map(String.init)),
                                ConfigValue($0.value, isSecret: false)
                            )
                        })))
        }
        var settings = try read(ConfigReader(providers: layers), stated)
        settings.warnings = warnings
        settings.stated = stated
        return settings
    }

    /// A flag's text as the kind that its setting has.
    private static func content(_ setting: Setting, _ text: String) throws -> ConfigContent {
        let flaw = SettingsFlaw("\(setting.key) is '\(text)'; allowed is \(setting.allowed)")
        switch setting.kind {
        case .integer:
            guard let value = Int(text) else { throw flaw }
            return .int(value)
        case .number:
            guard let value = Double(text) else { throw flaw }
            return .double(value)
        case .text, .choice: return .string(text)
        case .list: return .stringArray(text.split(separator: ",").map(String.init))
        }
    }

    private static func unknown(
        _ key: String, _ known: [String: Setting], _ place: String
    ) -> SettingsFlaw {
        let hint = near(key, known).map { "; did you mean \($0.key)?" } ?? ""
        return SettingsFlaw("\(place) sets '\(key)', which is no setting\(hint)")
    }

    /// The setting whose name is a slip of the pen away: two letters at most, or a part left out.
    private static func near(_ key: String, _ known: [String: Setting]) -> Setting? {
        func letters(_ text: String) -> [Character] { text.lowercased().filter(\.isLetter) }
        let ofVariable = key.hasPrefix("CARAVAN_") ? String(key.dropFirst("CARAVAN_".count)) : key
        let wanted = letters(ofVariable)
        let names = known.values.sorted { $0.key < $1.key }
        let part = names.first {
            $0.key.hasSuffix("." + key) || key.hasSuffix("." + $0.key)
                || wanted.count >= 10 && letters($0.key).starts(with: wanted)
        }
        let distances = names.map { (setting: $0, distance: distance(wanted, letters($0.key))) }
        let nearest = distances.min { $0.distance < $1.distance }
        return part
            ?? nearest.flatMap { $0.distance <= min(2, wanted.count / 4) ? $0.setting : nil }
    }

    /// Letters to put in, take out or change to get from one word to the other.
    private static func distance(_ a: [Character], _ b: [Character]) -> Int {
        var row = Array(0...b.count)
        for (i, left) in a.enumerated() {
            var corner = row[0]
            row[0] = i + 1
            for (j, right) in b.enumerated() {
                let changed = corner + (left == right ? 0 : 1)
                corner = row[j + 1]
                row[j + 1] = min(changed, corner + 1, row[j] + 1)
            }
        }
        return row[b.count]
    }

    /// The settings that say something else than they do in another configuration.
    public func differences(from other: Settings) -> [Setting] {
        Setting.all.filter { setting in
            let key = setting.key
            return integers[key] != other.integers[key] || numbers[key] != other.numbers[key]
                || texts[key] != other.texts[key] || lists[key] != other.lists[key]
        }
    }

    /// It is stated, and says something else than its default.
    public func differs(_ setting: Setting) -> Bool {
        let fallback = setting.fallback.split(separator: ",").joined(separator: ", ")
        let shown = shown(setting)
        return stated.contains(setting.key) && shown != fallback
            && (Double(shown) == nil || Double(shown) != Double(fallback))
    }

    /// A setting as it would stand in the file.
    public func shown(_ setting: Setting) -> String {
        let key = setting.key
        switch setting.kind {
        case .integer: return "\(integer(key))"
        case .number: return "\(number(key))"
        case .text, .choice: return text(key)
        case .list: return list(key).joined(separator: ", ")
        }
    }

    /// What the file says and what the fragments beside it say, by dotted keys, each of which must be a
    /// setting. Of two that say the same the later wins: the file first, then fragments by their names.
    private static func values(
        inFile file: String, _ known: [String: Setting]
    ) throws -> [String: ConfigContent] {
        var found: [String: ConfigContent] = [:]
        for path in [file] + fragments(of: file) {
            guard let text = try? String(contentsOfFile: path, encoding: .utf8) else {
                throw SettingsFlaw("the configuration \(path) cannot be read")
            }
            let yaml: PlainYAML
            do { yaml = try PlainYAML(text) } catch {
                throw SettingsFlaw("\(path), line \(error.line), is no YAML: \(error.cause)")
            }
            for entry in yaml.entries {
                let place = "\(path), line \(entry.line),"
                // A section whose keys are all commented out says nothing.
                if entry.value == .scalar(""),
                    known.keys.contains(where: { $0.hasPrefix(entry.key + ".") })
                {
                    continue
                }
                guard let setting = known[entry.key] else {
                    throw unknown(entry.key, known, place)
                }
                switch entry.value {
                case .list(let items) where setting.isList: found[entry.key] = .stringArray(items)
                case .scalar(let text): found[entry.key] = try content(setting, text)
                case .list:
                    throw SettingsFlaw(
                        "\(entry.key) is a list; allowed is \(setting.allowed)")
                }
            }
        }
        return found
    }

    /// The files *.yaml of the folder conf.d beside a configuration, by name.
    public static func fragments(of file: String) -> [String] {
        let folder = URL(fileURLWithPath: file).deletingLastPathComponent().path + "/conf.d"
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        return names.filter { $0.hasSuffix(".yaml") && !$0.hasPrefix(".") }.sorted()
            .map { folder + "/" + $0 }
    }

    private static func read(_ reader: ConfigReader, _ stated: Set<String>) throws -> Settings {
        var settings = Settings()
        for setting in Setting.all {
            let key = ConfigKey(setting.key)
            let isStated = stated.contains(setting.key)
            func flaw() -> SettingsFlaw {
                let shown = reader.string(forKey: key).map { "'\($0)'" } ?? "something else"
                return SettingsFlaw(
                    "\(setting.key) is \(shown); allowed is \(setting.allowed)")
            }
            switch setting.kind {
            case .integer(let range):
                let value = isStated ? try? reader.requiredInt(forKey: key) : Int(setting.fallback)
                guard let value else { throw flaw() }
                guard range.contains(value) else {
                    throw SettingsFlaw("\(setting.key) is \(value); allowed is \(setting.allowed)")
                }
                settings.integers[setting.key] = value
            case .number(let range):
                var value = isStated ? reader.double(forKey: key) : Double(setting.fallback)
                if value == nil { value = reader.int(forKey: key).map(Double.init) }
                guard let value else { throw flaw() }
                guard range.contains(value) else {
                    throw SettingsFlaw("\(setting.key) is \(value); allowed is \(setting.allowed)")
                }
                settings.numbers[setting.key] = value
            case .text, .choice:
                let value = isStated ? reader.string(forKey: key) : setting.fallback
                guard let value else { throw flaw() }
                if case .choice(let choices) = setting.kind, !choices.contains(value) {
                    throw flaw()
                }
                settings.texts[setting.key] = value
            case .list:
                let fallback = setting.fallback.split(separator: ",").map(String.init)
                let value = isStated ? reader.stringArray(forKey: key) : fallback
                let single = isStated ? reader.string(forKey: key) : nil
                guard let value = value ?? single?.split(separator: ",").map(String.init) else {
                    throw flaw()
                }
                settings.lists[setting.key] = value
            }
        }
        return settings
    }

    public func integer(_ key: String) -> Int { integers[key] ?? 0 }
    public func number(_ key: String) -> Double { numbers[key] ?? 0 }
    public func text(_ key: String) -> String { texts[key] ?? "" }
    public func list(_ key: String) -> [String] { lists[key] ?? [] }

    /// The alert and publication rules; an error where they contradict each other.
    public func rules() throws -> AlertRules {
        var rules = AlertRules()
        rules.raiseProbability = number("alerts.raise-probability")
        rules.clearProbability = number("alerts.clear-probability")
        rules.levelMinutes = [
            number("alerts.info-minutes"), number("alerts.warning-minutes"),
            number("alerts.critical-minutes"),
        ]
        rules.confirmMinutes = number("alerts.confirm-minutes")
        rules.calmMinutes = number("alerts.calm-minutes")
        rules.backlogMinutes = number("alerts.backlog-minutes")
        rules.settleMinutes = number("alerts.settle-minutes")
        rules.publishIntervalSeconds = number("eta.interval-seconds")
        rules.publishMinutes = number("eta.change-minutes")
        rules.publishShare = number("eta.change-share")
        rules.publishWorth = number("eta.change-worth")
        rules.publishBorderWorth = number("eta.border-worth")
        rules.publishEvery = text("eta.every") == "true"
        rules.publishMilestones = text("eta.every-milestone") == "true"
        rules.futureHours = number("events.future-hours")
        rules.pastDays = number("events.past-days")
        rules.maxEvents = integer("feed.max-events")
        rules.maxPlans = integer("feed.max-plans")
        rules.maxClosures = integer("feed.max-closures")
        rules.maxWork = integer("feed.max-plan-work")
        guard rules.clearProbability < rules.raiseProbability else {
            throw SettingsFlaw(
                "alerts.clear-probability is \(rules.clearProbability); it must lie under "
                    + "alerts.raise-probability, \(rules.raiseProbability), or alerts would flap")
        }
        guard rules.levelMinutes == rules.levelMinutes.sorted() else {
            throw SettingsFlaw(
                "alerts.info-minutes, warning-minutes and critical-minutes must ascend")
        }
        return rules
    }
}
