// What Relay's compiler reads; `npm run relay` writes relay/__generated__ from it.
import relay from "relay-runtime";

export const MeQuery = relay.graphql`
  query meQuery {
    me {
      id
      username
    }
  }
`;
