//! Writes a target's seeds as files, which is how libFuzzer takes them:
//! `seeds TARGET FOLDER`.

mod targets;

fn main() {
    let [_, name, folder] = &std::env::args().collect::<Vec<_>>()[..] else {
        let names = targets::ALL.map(|target| target.name).join(" ");
        println!("{names}");
        return;
    };
    let seeds = (targets::named(name).seeds)();
    for (number, seed) in seeds.iter().enumerate() {
        std::fs::write(format!("{folder}/seed-{number:04}"), seed).expect("the folder is there");
    }
}
