import Configuration
import Engine
import Foundation
import Tracking
import Yams

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

    /// Reads every setting. `overrides` are `key=value` from flags; unknown keys are errors
    /// wherever they stand.
    public static func load(
        file: String?, overrides: [String], environment: [String: String]
    ) async throws -> Settings {
        let known = Dictionary(uniqueKeysWithValues: Setting.all.map { ($0.key, $0) })
        var stated: Set<String> = []
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
                throw unknown(name, known, "the environment")
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
        return try read(ConfigReader(providers: layers), stated)
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
        let wanted = key.lowercased().filter { $0.isLetter }
        let near = known.keys.sorted().first {
            $0.filter(\.isLetter) == wanted || $0.hasSuffix(key) || key.hasSuffix($0)
        }
        let hint = near.map { "; did you mean \($0)?" } ?? ""
        return SettingsFlaw("\(place) sets '\(key)', which is no setting\(hint)")
    }

    /// What a YAML file says, by dotted keys, each of which must be a setting.
    private static func values(
        inFile file: String, _ known: [String: Setting]
    ) throws -> [String: ConfigContent] {
        guard let text = try? String(contentsOfFile: file, encoding: .utf8) else {
            throw SettingsFlaw("the configuration \(file) cannot be read")
        }
        let root: Node?
        do { root = try Yams.compose(yaml: text) } catch {
            throw SettingsFlaw("\(file) is no YAML: \(error)")
        }
        var found: [String: ConfigContent] = [:]
        func walk(_ node: Node, _ path: [String]) throws {
            let key = path.joined(separator: ".")
            if case .mapping(let map) = node {
                for (name, inner) in map { try walk(inner, path + [name.string ?? "?"]) }
                return
            }
            if key.isEmpty {
                throw SettingsFlaw(
                    "\(file) is no mapping of settings, but \(node.string ?? "a list")")
            }
            guard let setting = known[key] else { throw unknown(key, known, file) }
            switch node {
            case .sequence(let items) where setting.isList:
                found[key] = .stringArray(items.map { $0.string ?? "" })
            case .scalar(let scalar): found[key] = try content(setting, scalar.string)
            default:
                throw SettingsFlaw("\(key) is a list; allowed is \(setting.allowed)")
            }
        }
        if let root { try walk(root, []) }
        return found
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
