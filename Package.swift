// swift-tools-version: 6.2
import PackageDescription

let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

/// Whether this builds what `Deploy/test` runs under a sanitizer, and no more.
let watched = Context.environment["CARAVAN_TEST_WATCHED"] != nil

/// Tests spend their time in the core: debug builds optimise it, too, and keep its assertions.
let quick: [SwiftSetting] =
    watched
    ? [] : [.unsafeFlags(["-O", "-assert-config", "Debug"], .when(configuration: .debug))]
let core = strict + quick

/// Of what runs once, or where others do the work: small rather than fast.
let small = strict + [.unsafeFlags(["-Osize"], .when(configuration: .release))]

let nio: [Target.Dependency] = [
    .product(name: "NIOCore", package: "swift-nio"),
    .product(name: "NIOPosix", package: "swift-nio"),
    .product(name: "NIOConcurrencyHelpers", package: "swift-nio"),
]
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
let arguments: Target.Dependency = .product(
    name: "ArgumentParser", package: "swift-argument-parser")
let lifecycle: [Target.Dependency] = [
    .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
    .product(name: "UnixSignals", package: "swift-service-lifecycle"),
]

func house(
    _ name: String, _ dependencies: [Target.Dependency] = [], path: String? = nil,
    resources: [Resource]? = nil, settings: [SwiftSetting] = strict
) -> Target {
    .target(
        name: name, dependencies: dependencies, path: path, resources: resources,
        swiftSettings: settings)
}

func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .testTarget(name: name, dependencies: dependencies, swiftSettings: strict)
}

let package = Package(
    name: "caravan",
    products: [
        .executable(name: "caravand", targets: ["caravand"]),
        .executable(name: "caravan", targets: ["caravan"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        // Its reader of JSON would bring Foundation along, and with that 50 MB.
        .package(
            url: "https://github.com/apple/swift-configuration", from: "1.4.0", traits: []),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    ],
    targets: [
        .systemLibrary(
            name: "CLibPQ", pkgConfig: "libpq", providers: [.apt(["libpq-dev"])]),
        .systemLibrary(
            name: "COpenSSL", pkgConfig: "openssl", providers: [.apt(["libssl-dev"])]),
        .target(name: "CShims", dependencies: ["CLibPQ", "COpenSSL"]),

        // The core: pure values, no I/O, no clock, no Foundation.
        house("Tracking", settings: core),
        house("Forecast", ["Tracking"], settings: core),
        house("Log", ["Tracking"], settings: core),
        house(
            "Wire", ["Tracking"], resources: [.embedInCode("Networks/silk-road.network")],
            settings: core),
        house("Alerting", ["Tracking", "Forecast"], settings: small + quick),
        house("Engine", ["Tracking", "Forecast", "Alerting", "Log", "Wire"], settings: core),

        // The shells that carry effects out.
        house(
            "Schema", path: "Schema",
            resources: [
                .embedInCode("0001_foundation.sql"),
                .embedInCode("0002_posts_lease_quarantine.sql"),
                .embedInCode("0003_kept_partitions.sql"),
                .embedInCode("0004_state_that_goes_back.sql"),
                .embedInCode("0005_what_was_meant.sql"),
                .embedInCode("0006_archives.sql"),
                .embedInCode("0007_operators.sql"),
                .embedInCode("0008_parties.sql"),
            ]),
        house(
            "Store", ["Tracking", "Engine", "Log", "Wire", "Schema", "Host", "CLibPQ", "CShims"],
            settings: small),
        house("Host", settings: small),
        house("TLS", ["COpenSSL", "CShims"], settings: small),
        house("Server", ["TLS", "Wire", "Log", "Engine", "Forecast", "Tracking", logging] + nio),
        house(
            "Sinks", ["Server", "Engine", "Wire", "Tracking", "Host", logging] + nio,
            settings: small),
        house("Client", ["TLS"], settings: small),
        house("Simulation", ["Engine", "Forecast", "Wire", "Tracking"], settings: small + quick),
        house(
            "Settings",
            [
                "Tracking", "Engine", "Host", arguments,
                .product(name: "Configuration", package: "swift-configuration"),
            ], settings: small),

        house(
            "Daemon",
            [
                "Server", "Sinks", "Store", "Engine", "Forecast", "Log", "Wire", "Tracking",
                "Settings",
                "TLS",
                "Host", "CShims", logging, arguments,
            ] + nio
                + lifecycle, settings: small),

        .executableTarget(
            name: "caravand",
            dependencies: ["Daemon", "Settings"],
            swiftSettings: strict),
        .executableTarget(
            name: "caravan",
            dependencies: [
                "Daemon", "Store", "Simulation", "Client", "Wire", "Engine", "Forecast", "Tracking",
                "Settings", "TLS", "Host", arguments,
            ],
            swiftSettings: small),

        // Tests mirror Sources; TestKit is what they share.
        .target(
            name: "TestKit",
            dependencies: ["Store", "Client", "Simulation", "Engine", "Wire", "Tracking", "TLS"],
            path: "Tests/TestKit", swiftSettings: strict),
        .executableTarget(
            name: "benchmarks",
            dependencies: [
                "TestKit", "Store", "Client", "Simulation", "Engine", "Wire", "Tracking", "CLibPQ",
                "TLS",
                "caravand", arguments,
            ],
            path: "Tests/Benchmarks", swiftSettings: strict),
        tests("TrackingTests", ["Tracking", "Wire", "Simulation"]),
        tests("ForecastTests", ["Forecast", "Tracking", "Simulation"]),
        tests("AlertingTests", ["Alerting", "Tracking"]),
        tests("WireTests", ["Wire", "Log", "Tracking", "Simulation"]),
        tests(
            "EngineTests",
            ["Engine", "Forecast", "Wire", "Log", "Tracking", "Simulation", "TestKit"]),
        tests(
            "StoreTests",
            ["Store", "Engine", "Wire", "Log", "Tracking", "Simulation", "TestKit"]),
        tests("TLSTests", ["TLS", "TestKit"]),
        tests(
            "ServerTests",
            [
                "Server", "Daemon", "Engine", "Wire", "Tracking", "Simulation", "Client", "TLS",
                "TestKit", logging,
            ]
                + nio),
        .testTarget(
            name: "SimulationTests",
            dependencies: ["Simulation", "Engine", "Wire", "Tracking", "TestKit"],
            exclude: ["golden-forecasts.txt"], swiftSettings: strict),
        tests("SinksTests", ["Sinks", "Wire", "Tracking", "TestKit"]),
        tests("SettingsTests", ["Settings", "Tracking", "TestKit"]),
        tests("TidyTests", ["TestKit"]),
        tests(
            "DaemonTests",
            [
                "TestKit", "Daemon", "Host", "Client", "Store", "Simulation", "Wire", "Tracking",
                "TLS",
                "caravan", "caravand",
            ]),
    ]
)

if watched {
    let unwatched: Set = [
        "AlertingTests", "EngineTests", "SettingsTests", "SimulationTests", "SinksTests",
        "TidyTests", "TrackingTests", "benchmarks",
    ]
    package.targets.removeAll { unwatched.contains($0.name) }
}
