//! An agent's first governed action. Start `spanseal up --dev` first, then: cargo run --example agent

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Refused(#[from] spanseal::Refused),
    #[error("the ticket system says no")]
    TicketSystem,
}

#[spanseal::tool(kind = "ticket.update", target = "ticket:{ticket}", reveal(ticket))]
async fn close_ticket(ticket: &str, comment: &str) -> Result<usize, Error> {
    tracing::info!("closing");
    if ticket.is_empty() { Err(Error::TicketSystem) } else { Ok(comment.len()) }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let actor = spanseal::Actor::agent("support-agent").on_behalf_of("alice@acme.example");
    let spanseal = spanseal::init().service("support-agent").actor(actor).install()?;
    let closed = close_ticket("OPS-12", "password was reset").await;
    let report = spanseal.shutdown().await;
    println!("{} spans exported, {} lost", report.exported, report.lost);
    closed?;
    Ok(())
}
